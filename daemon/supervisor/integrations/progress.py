"""Events of a run under way: its figures of the moment, not too often, and once how it is carried out."""

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path

from pydantic import JsonValue

from daemon.clock import utc_now
from daemon.messages import TrainProgress
from daemon.supervisor.integrations.trainer_events import JobProgress, MetricsConfig, MetricsProgress, TrainerEvent
from daemon.supervisor.integrations.translation import Run, perplexity
from engine.artifacts import ArtifactError
from engine.manifest import read_manifest

_MOST_BEFORE_THE_END = 99
"""Percent: evaluation and publishing are still to come."""


class ProgressEvents:
    """Makes events of what the trainer reports.

    Args:
        seconds: the shortest time between two reports of a run that are told; a new epoch and the end always are.
        clock: gives the time in seconds.
    """

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self._seconds = seconds
        self._clock = clock
        self._job_id = ""
        self._epoch: int | None = None
        self._told_at = -math.inf

    def begins(self, run: Run) -> bool:
        """Whether nothing was told of this run before."""
        return run.job_id != self._job_id

    def of(self, progress: TrainProgress, run: Run) -> list[TrainerEvent]:
        """What to tell of a report; nothing where the last one was told just now."""
        now, last = self._clock(), progress.step >= progress.steps
        due = now - self._told_at >= self._seconds or progress.epoch != self._epoch or last
        if not due and not self.begins(run):
            return []
        self._job_id, self._epoch, self._told_at = run.job_id, progress.epoch, now
        return _events(progress, run)


def percent(progress: Mapping[str, JsonValue]) -> int:
    """How far a job is by its steps, in percent."""
    step, steps = progress.get("step"), progress.get("steps")
    return 100 * step // steps if isinstance(step, int) and isinstance(steps, int) and steps > 0 else 0


def _events(progress: TrainProgress, run: Run) -> list[TrainerEvent]:
    epoch, epochs = progress.epoch or 1, progress.epochs or 1
    at, key = utc_now(), f"{run.job_id}.{progress.step}"
    done = min(100 * progress.step // max(progress.steps, 1), _MOST_BEFORE_THE_END)
    events: list[TrainerEvent] = [
        JobProgress(
            id=f"{key}.0",
            at=at,
            job_id=run.job_id,
            user_id=run.user_id,
            queue=run.queue,
            progress=done,
            message=f"Training epoch {epoch}/{epochs}",
        )
    ]
    loss, validation = progress.loss, progress.validation_loss
    if loss is not None and math.isfinite(loss):
        known = validation is not None and math.isfinite(validation)
        events.append(
            MetricsProgress(
                id=f"{key}.1",
                at=at,
                job_id=run.job_id,
                user_id=run.user_id,
                epoch=epoch,
                total_epochs=epochs,
                step=progress.step,
                loss=loss,
                perplexity=perplexity(loss),
                samples_per_sec=progress.samples_per_second or 0.0,
                train_loss=loss,
                train_ppl=perplexity(loss),
                grad_norm=progress.gradient_norm or 0.0,
                val_loss=validation if known else None,
                val_ppl=perplexity(validation) if known and validation is not None else None,
            )
        )
    return events


def configuration(run: Run, folder: Path, version: Callable[[int], Path], epochs: int) -> list[TrainerEvent]:
    """How a run is carried out, by what lies in its folder; nothing where that cannot be read. Blocking.

    Args:
        run: which.
        folder: where ``run.json`` and ``metrics.jsonl`` are.
        version: gives the folder of a version: a run has the family of the one that it goes on from.
        epochs: how many it will take.
    """
    try:
        record = json.loads((folder / "run.json").read_bytes())
        with (folder / "metrics.jsonl").open(encoding="utf-8") as lines:
            parameters = _whole(json.loads(lines.readline()).get("parameters"))
        base = record["plan"]["base"]
        family = record["plan"]["model"]["family"] if base is None else read_manifest(version(base)).family
        recipe = record["recipe"]
        return [
            MetricsConfig(
                id=f"{run.job_id}.config",
                at=utc_now(),
                job_id=run.job_id,
                user_id=run.user_id,
                queue=run.queue,
                model_family=family,
                model_size=f"{parameters / 1e6:.3g}M" if parameters else family,
                total_epochs=epochs,
                batch_size=recipe["batch_size"] * recipe["gradient_accumulation"],
                learning_rate=recipe["learning_rate"],
                cpu_cores=_whole(record.get("threads")),
            )
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ArtifactError):
        return []  # it is for information, and the file belongs to the trainer


def _whole(value: JsonValue) -> int | None:
    return value if isinstance(value, int) else None

"""What the store says of a run, in the events that other programs get: pure functions, with the table in view.

| in the store                        | told                                                              |
| ----------------------------------- | ----------------------------------------------------------------- |
| ``cycle.training``                  | started                                                           |
| ``cycle.evaluating``                | progress 99 %                                                     |
| ``cycle.promoted`` ``.rejected``    | final metrics where it trained; completed, with the gate's reason |
| ``cycle.failed``                    | failed                                                            |
| ``cycle.cancelled``                 | failed, by a user                                                 |
| ``job.started``                     | started, at its first attempt                                     |
| ``job.retrying``                    | progress as it is, with what went wrong                           |
| ``job.completed``                   | final metrics where it trained; completed                         |
| ``job.failed`` ``.cancelled``       | failed                                                            |

A cycle that is skipped, since there is too little to learn, told nothing and ends without a word. Of jobs, those are
told that make something (`TOLD_KINDS`): generating, scoring and chatting takes seconds, and the client waits for it.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pydantic import JsonValue

from daemon.supervisor.integrations.trainer_events import (
    JobCompleted,
    JobFailed,
    JobProgress,
    JobStarted,
    MetricsCompleted,
    TrainerEvent,
)
from daemon.supervisor.store.records import Event

TOLD_KINDS = frozenset({"train", "tokenizer", "import"})
_LARGEST = 700.0
"""Nats whose exponential is still a number."""


@dataclass(frozen=True)
class Run:
    """What is known of the run that an event is about.

    Attributes:
        version: the one it published, by name; empty where it published none.
        folder: of that version.
        size: of its files, in bytes.
        metrics: of its training and evaluation.
        done: how far it is, in percent.
    """

    job_id: str
    queue: str
    user_id: int = 0
    version: str = ""
    folder: str = ""
    size: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)
    done: int = 0


def translated(event: Event, run: Run) -> list[TrainerEvent]:
    """The events that other programs get for one of the store; none for most."""
    return _TABLE.get(event.type, _nothing)(event, run)


def is_told(event: Event) -> bool:
    """Whether other programs get anything for it."""
    return event.type in _TABLE and event.data.get("kind", "train") in TOLD_KINDS


def perplexity(loss: float) -> float:
    """The exponential of a loss in nats, as far as it is a number."""
    return math.exp(min(loss, _LARGEST))


def _nothing(_: Event, __: Run) -> list[TrainerEvent]:
    return []


def _started(event: Event, run: Run) -> list[TrainerEvent]:
    if event.data.get("attempt", 1) != 1:
        return []
    return [JobStarted(id=f"{event.id}.0", at=event.at, job_id=run.job_id, user_id=run.user_id, queue=run.queue)]


def _evaluating(event: Event, run: Run) -> list[TrainerEvent]:
    about = {"job_id": run.job_id, "queue": run.queue}
    message = f"Evaluating version {run.version}"
    return [JobProgress(id=f"{event.id}.0", at=event.at, user_id=run.user_id, progress=99, message=message, **about)]


def _retrying(event: Event, run: Run) -> list[TrainerEvent]:
    about = {"job_id": run.job_id, "queue": run.queue}
    why, at = event.data.get("error") or event.data.get("cause"), event.data.get("retry_at")
    message = f"Attempt {event.data.get('attempt')} failed: {why}; the next one begins at {at}"
    done = min(run.done, 99)
    return [JobProgress(id=f"{event.id}.0", at=event.at, user_id=run.user_id, progress=done, message=message, **about)]


def _completed(event: Event, run: Run) -> list[TrainerEvent]:
    ended = JobCompleted(
        id=f"{event.id}.0",
        at=event.at,
        job_id=run.job_id,
        user_id=run.user_id,
        queue=run.queue,
        message=_sentence(event.data.get("outcome")),
        result_id=run.version,
        result_bytes=run.size,
    )
    loss = run.metrics.get("final_loss")
    if loss is None or not math.isfinite(loss):
        return [ended]
    names = ("test_loss", "loss", "best_validation_loss", "validation_loss")
    test = next((run.metrics[name] for name in names if name in run.metrics), None)
    metrics = MetricsCompleted(
        id=f"{event.id}.1",
        at=event.at,
        job_id=run.job_id,
        user_id=run.user_id,
        loss=loss,
        perplexity=perplexity(loss),
        test_loss=test,
        test_ppl=None if test is None else perplexity(test),
        artifact_path=run.folder,
    )
    return [metrics, ended]


def _failed(event: Event, run: Run) -> list[TrainerEvent]:
    cancelled = event.type.endswith(".cancelled")
    return [
        JobFailed(
            id=f"{event.id}.0",
            at=event.at,
            job_id=run.job_id,
            user_id=run.user_id,
            queue=run.queue,
            error_kind="user" if cancelled else "system",
            message=_sentence(event.data.get("outcome") or event.data.get("error"))
            or ("cancelled" if cancelled else "failed"),
        )
    ]


def _sentence(value: JsonValue) -> str | None:
    return value if isinstance(value, str) and value else None


_TABLE: Mapping[str, Callable[[Event, Run], list[TrainerEvent]]] = {
    "cycle.training": _started,
    "cycle.evaluating": _evaluating,
    "cycle.promoted": _completed,
    "cycle.rejected": _completed,
    "cycle.failed": _failed,
    "cycle.cancelled": _failed,
    "job.started": _started,
    "job.retrying": _retrying,
    "job.completed": _completed,
    "job.failed": _failed,
    "job.cancelled": _failed,
}

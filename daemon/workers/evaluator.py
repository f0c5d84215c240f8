"""The evaluator: judges one version at a time and writes what it found into the version's folder.

``evaluation.json`` is written where a version is judged on the snapshot of its own cycle. An evaluation asked for by
hand, on files or on another snapshot, is only answered.
"""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import structlog
import torch
from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from daemon import log
from daemon.messages import Evaluate, Evaluated, Failure, Reload
from daemon.settings.sections import Tables
from daemon.workers import runtime
from daemon.workers.runtime import Context
from engine import artifacts, device, version
from engine.artifacts import ArtifactError
from engine.config import EvaluationSettings, GateSettings
from engine.data import snapshot
from engine.data.conversation import Conversation
from engine.evaluation import evaluate
from engine.evaluation.evaluate import Evaluation
from engine.version import LoadedVersion

EVALUATION = "evaluation.json"
_logger = log.get(__name__)


class Stopped(Exception):  # noqa: N818 - no error: the supervisor asked for it
    """Leave what is under way; it is repeated from the start if it is wanted again."""


class Inputs(BaseModel):
    """All that an evaluation depends on: with equal inputs a stored answer stands."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: int
    incumbent: int | None
    snapshot_sha256: str
    evaluation: EvaluationSettings
    gate: GateSettings


class Record(BaseModel):
    """``evaluation.json``."""

    model_config = ConfigDict(frozen=True)

    inputs: Inputs
    judged_at: str
    seconds: float
    outcome: Evaluation


def main() -> None:
    """Answer commands until asked to stop."""
    context = runtime.start()
    evaluator = Evaluator(context)
    context.channel.ready()
    while not context.channel.stopping.is_set():
        command = context.channel.commands.get()
        try:
            if isinstance(command, Evaluate):
                evaluator.carry_out(command)
            elif isinstance(command, Reload):
                evaluator = Evaluator(context, context.reread_settings())
        except Stopped:
            _logger.info("evaluation given up, thord asked for it")
        context.channel.idle()


class Evaluator:
    """Carries out `Evaluate`."""

    def __init__(self, context: Context, settings: Tables | None = None) -> None:
        self._paths, self._channel = context.paths, context.channel
        self._settings = settings or context.settings
        if self._settings.training.threads:
            torch.set_num_threads(self._settings.training.threads)

    def carry_out(self, command: Evaluate) -> None:
        """Answer with a verdict, or with what stood in its way.

        Raises:
            Stopped: this worker was asked to stop.
        """
        with structlog.contextvars.bound_contextvars(cycle=command.cycle, version=command.version):
            try:
                answer = self._measure_files(command) if command.files else self._judge(command)
            except (ArtifactError, FileNotFoundError, device.ImpossiblePlacementError) as error:
                self._fail(command, str(error), retry=False)
            except (OSError, torch.OutOfMemoryError) as error:
                self._fail(command, str(error), retry=True)
            else:
                _logger.info("evaluated", passed=answer.passed, reason=answer.reason, **answer.metrics)
                self._channel.send(answer)

    def _judge(self, command: Evaluate) -> Evaluated:
        """Judge on a snapshot; a repeated command finds its answer in the version."""
        self._advance("reading")
        folder = self._paths.version(command.version)
        own_cycle = artifacts.read_version_manifest(folder).cycle
        data = self._paths.snapshot(own_cycle if command.cycle is None else command.cycle)
        inputs = Inputs(
            version=command.version,
            incumbent=command.incumbent,
            snapshot_sha256=snapshot.read_manifest(data).sha256,
            evaluation=self._settings.evaluation,
            gate=self._settings.gate,
        )
        file = folder / EVALUATION
        found = _read_record(file)
        if found is not None and found.inputs == inputs:
            return _answer(command, found.outcome)
        started = time.monotonic()
        outcome = evaluate.judge(
            candidate=self._loader(command.version),
            incumbent=None if command.incumbent is None else self._loader(command.incumbent),
            held_out=evaluate.choose(snapshot.held_out_examples(data), self._settings.evaluation.max_conversations),
            training=lambda: snapshot.train_examples(data),
            settings=self._settings.evaluation,
            gate_settings=self._settings.gate,
            advance=self._advance,
        )
        if data == self._paths.snapshot(own_cycle):
            record = Record(
                inputs=inputs,
                judged_at=datetime.now(UTC).isoformat(timespec="seconds"),
                seconds=round(time.monotonic() - started, 3),
                outcome=outcome,
            )
            artifacts.write_json(file, record.model_dump(mode="json"))
        return _answer(command, outcome)

    def _measure_files(self, command: Evaluate) -> Evaluated:
        """Figures of one version on files; nothing is decided by them."""

    def _loader(self, number: int) -> Callable[[], LoadedVersion]:
        """Loads a version, on the device and in the numbers it would serve in, once its sums are checked."""
        inference = self._settings.inference
        placement = device.resolve(inference.device, inference.precision)

        def load() -> LoadedVersion:
            self._advance(f"loading version {number}")
            folder = self._paths.version(number)
            artifacts.verify(folder)
            return version.load(folder, placement)

        return load

    def _advance(self, activity: str) -> None:
        if self._channel.stopping.is_set():
            raise Stopped
        self._channel.advance(activity)

    def _fail(self, command: Evaluate, reason: str, *, retry: bool) -> None:
        _logger.error("evaluation failed", reason=reason, retry=retry)
        self._channel.send(Failure(request=command.request, reason=reason, retry=retry))


def _answer(command: Evaluate, outcome: Evaluation) -> Evaluated:
    return Evaluated(
        request=command.request,
        version=command.version,
        passed=outcome.verdict.passed,
        reason=outcome.verdict.reason,
        gate=outcome.verdict.model_dump(mode="json"),
        metrics=outcome.metrics,
    )


def _read_record(file: Path) -> Record | None:
    """What an earlier evaluation left; null where there is none that can be read."""
    try:
        return Record.model_validate_json(file.read_bytes())
    except (OSError, ValidationError):
        return None


if __name__ == "__main__":
    main()

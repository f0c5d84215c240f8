"""Evaluations: a cycle's own, whose record stays with the version, and those asked for by hand, only answered."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from control.paths import Paths, version_name
from daemon import log
from daemon.clock import utc_now_with_offset
from daemon.messages import Evaluate, Evaluated, Failure
from daemon.settings.sections import Tables
from daemon.workers.evaluator import speeds, suites_of_settings
from daemon.workers.phases import Phases
from daemon.workers.reading import limits_of
from daemon.workers.runtime import Channel
from engine import device, disk, memory
from engine.artifacts import ArtifactError
from engine.config.evaluation import EvaluationSettings, GateSettings
from engine.config.inference import Quantization
from engine.config.tasks import TaskSettings
from engine.config.training import TrainingSettings
from engine.data import snapshot
from engine.data.snapshot import Example
from engine.data.validation import Part
from engine.evaluation import evaluate, text_needed
from engine.evaluation.evaluate import Evaluation
from engine.evaluation.likelihood_cache import LikelihoodCache
from engine.evaluation.measures import registry
from engine.evaluation.results import By, Results, slices_of
from engine.evaluation.slice_figures import SliceFigures, slice_figures
from engine.evaluation.suites import files, suite
from engine.evaluation.suites.files import BadFilesError
from engine.inference.versions import as_served
from engine.manifest import read_manifest, verify
from engine.tasks import calibrating
from engine.training import dataset
from engine.version import LoadedVersion

EVALUATION = "evaluation.json"
_logger = log.get(__name__)


class Stopped(Exception):  # noqa: N818 - not an error: the supervisor asked for it
    """Unwinds the work under way. It starts over if it is asked for again."""


class Inputs(BaseModel):
    """All that an evaluation depends on: with equal inputs a stored answer stands."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: int
    incumbent: int | None
    snapshot_sha256: str
    evaluation: EvaluationSettings
    gate: GateSettings
    suites: dict[str, str] = {}
    """The sum of each suite's samples."""
    tasks: dict[str, TaskSettings] = Field({})
    quantization: Quantization = "none"


class StoredEvaluation(Evaluation):
    """``evaluation.json``: what decided on the version."""

    inputs: Inputs
    judged_at: str
    seconds: float


class Evaluator:
    """Carries out `Evaluate`, one after the other."""

    def __init__(self, paths: Paths, channel: Channel, settings: Tables) -> None:
        self._paths, self._channel, self._settings = paths, channel, settings
        self._phases = Phases(channel, 0)
        self._cache = LikelihoodCache(paths.measurements)
        memory.keep_freed_memory()
        if settings.training.threads:
            torch.set_num_threads(settings.training.threads)

    def carry_out(self, command: Evaluate) -> None:
        """Answer with a verdict, or with what stood in its way.

        Raises:
            Stopped: this worker was asked to stop.
        """
        self._phases = Phases(self._channel, command.id)
        with log.bound(cycle=command.cycle, version=command.version):
            try:
                answer = self._carry_out(command)
            except (ArtifactError, BadFilesError, FileNotFoundError, device.ImpossiblePlacementError) as error:
                self._fail(command, str(error), retry=False)
            except (OSError, torch.OutOfMemoryError) as error:
                self._fail(command, str(error), retry=True)
            else:
                _logger.info("evaluated", passed=answer.passed, reason=answer.reason, **answer.metrics)
                self._channel.send(answer)
            finally:
                memory.return_freed_memory()

    def _carry_out(self, command: Evaluate) -> Evaluated:
        if command.suites_only:
            return self._measure_suites(command)
        if command.part is not None:
            return self._measure_kept_back(command, command.part)
        return self._measure_files(command) if command.files else self._judge(command)

    def _judge(self, command: Evaluate) -> Evaluated:
        """Judge on a snapshot; a repeated command finds its answer in the version."""
        self._advance("reading")
        folder = self._paths.version(command.version)
        made = read_manifest(folder)
        own_cycle = made.cycle
        cycle = own_cycle if command.cycle is None else command.cycle
        data = _snapshot(self._paths, cycle, made.job)
        if data is None:
            raise ArtifactError(
                f"version {version_name(command.version)} was imported, so no cycle held anything out for it: "
                "evaluate it on files of your own"
            )
        manifest = snapshot.read_manifest(data)
        inputs = Inputs(
            version=command.version,
            incumbent=command.incumbent,
            snapshot_sha256=manifest.sha256,
            evaluation=self._settings.evaluation,
            gate=self._settings.gate,
            tasks=self._settings.tasks,
            quantization=self._settings.inference.quantization,
        )
        suites = [] if command.sealed else suites_of_settings.read(self._settings, self._advance)
        inputs = inputs.model_copy(update={"suites": {one.name: one.sha256 for one in suites}})
        file = folder / EVALUATION
        found = None if command.sealed else read_stored(file)
        if found is not None and found.inputs == inputs:
            return _answer(command, found)
        started = time.monotonic()
        held_out = self._held_out(data, sealed=command.sealed)
        budgets = {} if command.sealed else speeds.budgets(self._paths, command, self._settings, self._advance)
        outcome = evaluate.judge(
            candidate=self._loader(command.version),
            incumbent=None if command.incumbent is None else self._loader(command.incumbent),
            held_out=evaluate.conversations(held_out, self._settings.all_tasks),
            training=lambda: iter(()) if command.sealed else _trained_on(data),
            settings=self._settings.evaluation,
            gate_settings=self._settings.gate,
            advance=self._advance,
            quantization="none" if command.sealed else self._settings.inference.quantization,
            earlier=frozenset() if command.sealed else self._held_out_before(command.incumbent),
            sources={example.identity: example.source for example in held_out},
            tasks=self._settings.all_tasks,
            cache=self._cache,
            suites=suites,
            budgets=budgets,
        )
        if command.incumbent is None:
            reason = outcome.verdict.reason + text_needed.advice(manifest.text_bytes, outcome.verdict)
            verdict = outcome.verdict.model_copy(update={"reason": reason})
            outcome = outcome.model_copy(update={"verdict": verdict})
        if command.decides and command.cycle == own_cycle:
            record = StoredEvaluation(
                inputs=inputs,
                judged_at=utc_now_with_offset("seconds"),
                seconds=round(time.monotonic() - started, 3),
                verdict=outcome.verdict,
                metrics=outcome.metrics,
                samples=outcome.samples,
                slices=outcome.slices,
                temperatures=outcome.temperatures,
                suites=outcome.suites,
            )
            if outcome.temperatures:
                calibrating.write(folder, outcome.temperatures)
            disk.write_json(file, record.model_dump(mode="json"))
        return _answer(command, outcome)

    def _held_out(self, data: Path, *, sealed: bool) -> list[Example]:
        """What to judge by: what gates read, or what only an anchor test does.

        Raises:
            ArtifactError: too few are sealed for an anchor test.
        """
        limit, least = self._settings.evaluation.max_conversations, self._settings.gate.min_conversations
        read, kept = evaluate.divide(list(snapshot.held_out_examples(data)), limit, self._settings.all_tasks)
        if not sealed:
            return read
        if len(kept) < least:
            raise ArtifactError(
                f"{len(kept)} held-out conversations are sealed, {least} are needed (gate.min_conversations): some are "
                f"once {limit} others are held out (evaluation.max_conversations)"
            )
        return evaluate.choose(kept, limit, self._settings.all_tasks)

    def _held_out_before(self, incumbent: int | None) -> frozenset[str]:
        """What was held out when the version in service was trained; nothing where that is not known any more."""
        if incumbent is None:
            return frozenset()
        made = read_manifest(self._paths.version(incumbent))
        data = _snapshot(self._paths, made.cycle, made.job)
        try:
            examples = iter(()) if data is None else snapshot.held_out_examples(data)
            return frozenset(example.identity for example in examples)
        except FileNotFoundError:
            return frozenset()

    def _measure_suites(self, command: Evaluate) -> Evaluated:
        """Figures of one version on every suite; nothing is decided by them."""
        suites = suites_of_settings.read(self._settings, self._advance)
        loaded = self._loader(command.version)()
        settings, tasks = self._settings.evaluation, self._settings.all_tasks
        found = {one.name: suite.run(one, loaded, settings, self._advance, self._cache, tasks) for one in suites}
        metrics = {f"{name}.{key}": value for name, one in found.items() for key, value in one.metrics.items()}
        return Evaluated(
            to=command.id,
            version=command.version,
            passed=True,
            reason=f"measured on {len(found)} suites",
            gate={},
            metrics=metrics,
        )

    def _measure_files(self, command: Evaluate) -> Evaluated:
        """Figures of one version on the conversations of files."""
        limits = limits_of(self._settings.data, self._settings.all_tasks)
        found = files.read(map(Path, command.files), limits, self._advance).examples
        return self._measure(command, found, "of the files named")

    def _measure_kept_back(self, command: Evaluate, part: Part) -> Evaluated:
        """Figures of one version on what its run kept back, or else on what was held out for the gate.

        Raises:
            ArtifactError: there is neither.
        """
        made = read_manifest(self._paths.version(command.version))
        data = _snapshot(self._paths, made.cycle, made.job)
        if data is None:
            raise ArtifactError(f"version {version_name(command.version)} was imported: evaluate it on a file of yours")
        if found := dataset.kept_back(data, _shares(made.settings.get("training")), part):
            return self._measure(command, found, f"kept back for {part}")
        if found := list(snapshot.held_out_examples(data)):
            return self._measure(command, found, f"held out, as nothing was kept back for {part}")
        share = "validation_share" if part == "validation" else "test_share"
        raise ArtifactError(
            f"the run of version {version_name(command.version)} kept nothing back for {part}: it had fewer than 15 "
            f"samples, or training.{share} (holdout_fraction, test_split_ratio) was 0; evaluate it on a file of yours"
        )

    def _measure(self, command: Evaluate, found: Sequence[Example], which: str) -> Evaluated:
        """Figures of one version on examples; nothing is decided by them."""
        tasks = self._settings.all_tasks
        examples = evaluate.choose(found, self._settings.evaluation.max_conversations, tasks)
        if not examples:
            raise BadFilesError(f"no conversation to measure in {', '.join(command.files)}")
        chosen = evaluate.conversations(examples, tasks)
        loaded = self._loader(command.version)()
        likelihood = evaluate.measure_version(
            loaded,
            chosen,
            self._settings.evaluation,
            lambda done, total: self._advance("measuring", done, total),
            self._cache,
        )
        sampled = f" of {len(found)} (evaluation.max_conversations)" if len(chosen) < len(found) else ""
        reason = f"measured on {len(chosen)}{sampled} conversations {which}; no gate decides on these"
        results = Results(likelihood, slices_of(chosen, {example.identity: example.source for example in examples}))
        return Evaluated(
            to=command.id,
            version=command.version,
            passed=True,
            reason=reason,
            gate={},
            metrics=registry.values(results) | likelihood.counts,
            slices=_as_json(slice_figures(results)),
        )

    def _loader(self, number: int) -> Callable[[], LoadedVersion]:
        """Loads a version, on the device and in the numbers it would serve in, once its sums are checked.

        Of an adapter whose base is quantized when it serves, the base is.
        """
        inference = self._settings.inference
        placement = device.resolve(inference.device, inference.precision)

        def load() -> LoadedVersion:
            self._advance(f"loading version {number}")
            folder = self._paths.version(number)
            verify(folder)
            return as_served.load(folder, placement, inference)

        return load

    def _advance(self, activity: str, done: int = 0, total: int = 0) -> None:
        if self._channel.stopping.is_set():
            raise Stopped
        self._phases.advance(activity, done, total)

    def _fail(self, command: Evaluate, reason: str, *, retry: bool) -> None:
        _logger.error("evaluation failed", reason=reason, retry=retry)
        self._channel.send(Failure(to=command.id, reason=reason, retry=retry))


def _snapshot(paths: Paths, cycle: int | None, job: int | None) -> Path | None:
    """What a cycle, or else a job, learned from and is judged on; null where neither is known."""
    if cycle is not None:
        return paths.snapshot(cycle)
    return None if job is None else paths.job_snapshot(job)


def _shares(training: JsonValue) -> TrainingSettings:
    """What a run was told to keep back; other settings may have had other names in its time."""
    known = training if isinstance(training, dict) else {}
    return TrainingSettings.model_validate(
        {key: known[key] for key in ("validation_share", "test_share") if key in known}
    )


def _trained_on(data: Path) -> Iterator[Example]:
    return (example for example in snapshot.train_examples(data) if not example.validates)


def _answer(command: Evaluate, outcome: Evaluation) -> Evaluated:
    return Evaluated(
        to=command.id,
        version=command.version,
        passed=outcome.verdict.passed,
        reason=outcome.verdict.reason,
        gate=outcome.verdict.model_dump(mode="json"),
        metrics=outcome.metrics,
        slices=_as_json(outcome.slices),
        suites={name: pair.model_dump() for name, pair in outcome.suites.items()},
    )


def _as_json(slices: Mapping[By, Mapping[str, SliceFigures]]) -> dict[str, JsonValue]:
    return {by: {name: found.model_dump() for name, found in of.items()} for by, of in slices.items()}


def read_stored(file: Path) -> StoredEvaluation | None:
    """The stored evaluation in ``file``; null if the file is missing or cannot be read."""
    try:
        return StoredEvaluation.model_validate_json(file.read_bytes())
    except (OSError, ValidationError):
        return None

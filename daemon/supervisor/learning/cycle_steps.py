"""The steps of a cycle, from ``queued`` to its end, along the table in `daemon.cycle`.

queued      → collecting    nothing to do but begin
collecting  → training      the intake writes the snapshot; base version and version number are fixed in the row
training    → evaluating    the trainer runs and publishes the candidate
evaluating  → promoting     the evaluator judges it against what serves now; `promotion` brings it into service
promoting   → promoted      done with the swap
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Mapping

from pydantic import JsonValue, ValidationError

from control.paths import Paths, version_name
from daemon import log
from daemon.cycle import CycleEvent, CycleState
from daemon.messages import (
    UNASKED,
    Collect,
    Collected,
    Evaluate,
    Evaluated,
    FromWorker,
    PhaseProgress,
    Train,
    Trained,
    TrainProgress,
)
from daemon.settings.sections import Tables
from daemon.supervisor.intake.requests import IntakeRequests
from daemon.supervisor.jobs.attempts import Cause, CutShortError, FailedError, work_of_a_process
from daemon.supervisor.jobs.turns import Turns
from daemon.supervisor.learning import candidates, versions
from daemon.supervisor.learning.cycle_queue import CycleQueue
from daemon.supervisor.learning.evaluation.evaluations import Evaluations
from daemon.supervisor.learning.furthest import Furthest
from daemon.supervisor.learning.progress import CycleWatch
from daemon.supervisor.learning.promotion import IncumbentChangedError, NotNowError, Promotion, RefusedError
from daemon.supervisor.learning.settling import Settling
from daemon.supervisor.processes.ports import Workers
from daemon.supervisor.store.degradations import Degradations, retry_until_stored
from daemon.supervisor.store.records import Cycle, Version, VersionState, name_or_null
from daemon.supervisor.store.store import CycleField, NoSuchRecordError, Store
from engine.artifacts import ArtifactError
from engine.config.training import TrainingSettings
from engine.variation import Variation

_logger = log.get(__name__)
_LOOKED_BACK = 100
"""Cycles, for those that came to nothing."""


class CycleSteps:
    """What each state of a cycle asks for.

    Attributes:
        before_training: awaited before the trainer begins with a cycle, and before it goes on.
        promoting: the cycle under way is being promoted, also while its row still says ``evaluating``.
    """

    kind = "cycle"

    def __init__(
        self,
        store: Store,
        queue: CycleQueue,
        workers: Workers,
        intake: IntakeRequests,
        promotion: Promotion,
        evaluations: Evaluations,
        settling: Settling,
        watch: CycleWatch,
        paths: Paths,
        tables: Callable[[], Tables],
        degradations: Degradations,
        turns: Turns,
    ) -> None:
        self.before_training: Callable[[Cycle], Coroutine[None, None, None]] | None = None
        self.promoting = False
        self._store = store
        self._queue = queue
        self._workers = workers
        self._intake = intake
        self._promotion = promotion
        self._evaluations = evaluations
        self._settling = settling
        self._watch = watch
        self._paths = paths
        self._tables = tables
        self._degradations = degradations
        self._turns = turns
        self._steps: dict[CycleState, Callable[[Cycle], Coroutine[None, None, Cycle]]] = {
            CycleState.QUEUED: self._begin,
            CycleState.COLLECTING: self._collect,
            CycleState.TRAINING: self._train,
            CycleState.EVALUATING: self._evaluate,
            CycleState.PROMOTING: self._promote,
        }

    async def step(self, job: Cycle) -> Cycle:
        """Do what the state of the cycle asks for; the cycle in its next state.

        Raises:
            CutShortError: it may be tried again.
            FailedError: it cannot be done.
        """
        return await self._steps[job.state](job)

    def may_cancel(self, job: Cycle) -> bool:
        """Whether the cycle is not being promoted yet."""
        return job.state is not CycleState.PROMOTING

    async def _begin(self, cycle: Cycle) -> Cycle:
        return await self._move(cycle, CycleEvent.START)

    async def _collect(self, cycle: Cycle) -> Cycle:
        await self._settling.wait()  # what the cycle before gives back may be collected by this one
        data, asked = self._tables().data, cycle.request
        command = Collect(
            cycle=cycle.id,
            limit=data.max_conversations_per_cycle,
            minimum=1 if asked.files else data.min_conversations,
            files=asked.files,
            validation_files=asked.validation_files,
            split=asked.split,
        )
        with work_of_a_process(data_at_fault=False):
            answer = await self._intake.collect(command)
        if why := _too_little(answer, command, self._tables().gate.min_conversations):
            return await self._move(cycle, CycleEvent.TOO_LITTLE, conversations=answer.conversations, outcome=why)
        highest = await asyncio.to_thread(versions.highest, self._paths)
        base = asked.base or self._promotion.serving
        variation = await self._variation(cycle, base)
        return await self._move(
            cycle,
            CycleEvent.COLLECTED,
            conversations=answer.conversations,
            replayed=answer.replayed,
            held_out=answer.held_out,
            snapshot_sha256=answer.sha256,
            base_version=base,
            variation=variation.model_dump() if variation else None,
            version_above=highest,
        )

    async def _variation(self, cycle: Cycle, base: int | None) -> Variation | None:
        """How its run differs from those that came to nothing; what it was asked for is not varied."""
        earlier = await retry_until_stored(lambda: self._store.cycles(_LOOKED_BACK), self._degradations)
        training = self._tables().training
        with contextlib.suppress(ValidationError):  # then the trainer says so
            training = TrainingSettings.model_validate(training.model_dump() | cycle.request.overrides)
        return candidates.differing(cycle, base, earlier, training)

    async def _train(self, cycle: Cycle) -> Cycle:
        if self._turns.is_held_by_job:
            activity = "waiting for the trainer, which works for a job ('thorctl jobs')"
            waits = PhaseProgress(to=UNASKED, activity=activity, done=0, total=None, eta_seconds=None)
            self._watch.phase(cycle.id, waits)
        async with self._turns.cycle():
            return await self._train_now(cycle)

    async def _train_now(self, cycle: Cycle) -> Cycle:
        if self.before_training is not None:
            await self.before_training(cycle)
        command = Train(
            cycle=cycle.id,
            attempt=cycle.attempt,
            version=_version_of(cycle),
            base=cycle.base_version,
            overrides=cycle.request.overrides,
            variation=cycle.variation or Variation(),
        )
        furthest = Furthest(self._queue, cycle)

        def on_message(message: FromWorker) -> None:
            if isinstance(message, TrainProgress):
                self._watch.train(message)
                furthest.reached(message.step)
            elif isinstance(message, PhaseProgress):
                self._watch.phase(cycle.id, message)

        with work_of_a_process():
            answer = await self._workers.run("trainer", command, Trained, on_message)
        try:
            candidate = await asyncio.to_thread(versions.published, self._paths, answer.version)
        except ArtifactError as error:
            raise FailedError(str(error), data_at_fault=False) from error
        return await self._move(cycle, CycleEvent.TRAINED, candidate=candidate, metrics=candidate.metrics)

    async def _evaluate(self, cycle: Cycle) -> Cycle:
        version, incumbent = _version_of(cycle), self._promotion.serving
        if incumbent == version:  # a person promoted it before it was judged
            return await self._promote(cycle)
        if (unworthy := await self._not_worth_judging(cycle, version)) is not None:
            return await self._refuse(cycle, *unworthy)
        command = Evaluate(version=version, incumbent=incumbent, cycle=cycle.id, decides=True)

        def on_message(message: FromWorker) -> None:
            if isinstance(message, PhaseProgress):
                self._watch.phase(cycle.id, message)

        with work_of_a_process():
            answer = await self._evaluations.run(command, on_message)
        await retry_until_stored(lambda: self._store.add_metrics(version, answer.metrics), self._degradations)
        metrics = {**(cycle.metrics or {}), **answer.metrics}
        judged = await retry_until_stored(
            lambda: self._store.update(cycle.id, incumbent=incumbent, gate=answer.gate, metrics=metrics),
            self._degradations,
        )
        if answer.passed and self._tables().gate.mode == "shadow":
            return await self._leave_in_shadow(judged, answer)
        if answer.passed:
            return await self._promote(judged)
        return await self._refuse(judged, answer.gate, answer.reason)

    async def _not_worth_judging(self, cycle: Cycle, version: int) -> tuple[dict[str, JsonValue], str] | None:
        """The verdict on a candidate of which it is known without an evaluation."""
        base, sha256 = cycle.base_version, ""
        candidate = await retry_until_stored(lambda: self._store.version(version), self._degradations)
        with contextlib.suppress(NoSuchRecordError):
            if base is not None:
                sha256 = (await retry_until_stored(lambda: self._store.version(base), self._degradations)).sha256
        found = candidates.not_worth_judging(cycle.metrics or {}, candidate.sha256, base, sha256)
        return (candidates.verdict(*found), found[1]) if found else None

    async def _refuse(self, cycle: Cycle, gate: Mapping[str, JsonValue], reason: str) -> Cycle:
        verdict: tuple[VersionState, str] = ("rejected", reason)
        return await self._move(
            cycle, CycleEvent.REFUSED, verdict=verdict, gate=gate, outcome=reason, data_at_fault=True
        )

    async def _leave_in_shadow(self, cycle: Cycle, answer: Evaluated) -> Cycle:
        """It passed, and serves only if a person says so. Nobody is at fault, and what it learned stays new."""
        outcome = (
            "passed in shadow mode (gate.mode), so it was not promoted, and what it learned stays new: the next cycle "
            f"learns it again; to promote it: thorctl promote {version_name(answer.version)}; {answer.reason}"
        )
        verdict: tuple[VersionState, str] = ("available", "passed in shadow mode")
        return await self._move(
            cycle, CycleEvent.REFUSED, verdict=verdict, gate=answer.gate, outcome=outcome, data_at_fault=False
        )

    async def _promote(self, cycle: Cycle) -> Cycle:
        self.promoting = True
        try:
            await retry_until_stored(lambda: self._promotion.promote_candidate(cycle), self._degradations)
        except IncumbentChangedError as error:
            _logger.info("the candidate is judged again", why=str(error))
        except NotNowError as error:
            raise CutShortError(str(error), Cause.FAILURE, data_at_fault=False) from error
        except RefusedError as error:
            raise FailedError(f"version {name_or_null(cycle.version)} cannot be served: {error}") from error
        finally:
            self.promoting = False
        return await retry_until_stored(lambda: self._store.cycle(cycle.id), self._degradations)

    # What the steps share ----------------------------------------------------------------------------------------

    async def _move(
        self,
        cycle: Cycle,
        event: CycleEvent,
        *,
        candidate: Version | None = None,
        verdict: tuple[VersionState, str] | None = None,
        version_above: int | None = None,
        **fields: CycleField,
    ) -> Cycle:
        return await retry_until_stored(
            lambda: self._store.transition(
                cycle.id, event, candidate=candidate, verdict=verdict, version_above=version_above, **fields
            ),
            self._degradations,
        )


def _version_of(cycle: Cycle) -> int:
    if cycle.version is None:
        raise FailedError("the cycle has no version number", data_at_fault=False)
    return cycle.version


def _too_little(found: Collected, asked: Collect, to_judge: int) -> str | None:
    """Why there is not enough to learn from, or to judge by: what cannot be judged is not worth training."""
    if found.conversations < asked.minimum:
        if asked.files:
            return f"the {len(asked.files)} files hold {found.conversations} conversations to learn from"
        return f"{found.conversations} new conversations, {asked.minimum} are needed (data.min_conversations)"
    if found.held_out < to_judge and asked.files:
        return (
            f"{found.held_out} pieces of the files are held out for evaluation, {to_judge} are needed "
            "(gate.min_conversations): give more, or judge on the end of each file (--split) or on others (--val-data)"
        )
    if found.held_out < to_judge:
        return (
            f"{found.held_out} conversations are held out for evaluation, {to_judge} are needed "
            f"(gate.min_conversations); that takes about {4 * to_judge} conversations in all"
        )
    return None

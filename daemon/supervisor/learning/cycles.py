"""The driver of cycles: one at a time, from ``queued`` to its end, step by step along the table in `daemon.cycle`.

    queued      → collecting    nothing to do but begin
    collecting  → training      the intake writes the snapshot; base version and version number are fixed in the row
    training    → evaluating    the trainer runs and publishes the candidate
    evaluating  → promoting     the evaluator judges it against what serves now; `promotion` brings it into service
    promoting   → promoted      done with the swap

Every step may be repeated: after a crash `recover` resumes the unfinished cycle in the state its row has. At the end,
however it came, the intake is told what becomes of the conversations, again and again until it has answered.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping

import structlog
from pydantic import JsonValue, ValidationError

from control.paths import Paths
from daemon import log
from daemon.cycle import CycleEvent, CycleState
from daemon.messages import (
    Beat,
    Collect,
    Collected,
    Evaluate,
    FromWorker,
    PhaseProgress,
    Train,
    Trained,
    TrainProgress,
)
from daemon.settings.sections import Tables
from daemon.supervisor.intake.requests import IntakeRequests
from daemon.supervisor.learning import attempts, candidates, versions
from daemon.supervisor.learning.attempts import CutShortError, FailedError, work_of_a_process
from daemon.supervisor.learning.evaluations import Evaluations
from daemon.supervisor.learning.furthest import Furthest
from daemon.supervisor.learning.progress import CycleWatch
from daemon.supervisor.learning.promotion import IncumbentChangedError, NotNowError, Promotion, RefusedError
from daemon.supervisor.learning.settling import Settling
from daemon.supervisor.processes.ports import Workers
from daemon.supervisor.store.degradations import Troubles, insist
from daemon.supervisor.store.records import Cycle, CycleRequest, Version, VersionState, version_name
from daemon.supervisor.store.store import CycleField, NoSuchRecordError, Store, StoreUnavailableError
from engine.artifacts import ArtifactError
from engine.config.training import TrainingSettings
from engine.variation import Ending, Variation

_logger = log.get(__name__)

_SETTLING_SECONDS = 5.0
_LOOKED_BACK = 100
"""Cycles, for those that came to nothing."""


class NotCancellableError(Exception):
    """The cycle is finished or is being promoted."""


class Cycles:
    """Runs cycles. Nothing of a cycle lives here that its row does not have, but its progress of the moment.

    Attributes:
        current: the cycle under way.
        before_training: awaited before the trainer begins with a cycle, and before it goes on.
    """

    def __init__(
        self,
        store: Store,
        workers: Workers,
        promotion: Promotion,
        evaluations: Evaluations,
        paths: Paths,
        tables: Callable[[], Tables],
        troubles: Troubles,
    ) -> None:
        self.current: Cycle | None = None
        self.before_training: Callable[[Cycle], Coroutine[None, None, None]] | None = None
        self._on_end: list[Callable[[Cycle], None]] = []
        self._store = store
        self._workers = workers
        self._promotion = promotion
        self._evaluations = evaluations
        self._paths = paths
        self._tables = tables
        self._troubles = troubles
        self._driver: asyncio.Task[None] | None = None
        self._step: asyncio.Task[Cycle] | None = None
        self._promoting = False
        self._recovered = False
        self._cancelled: dict[int, str] = {}
        self._watch = CycleWatch(lambda: workers.slowed_to("trainer") or workers.slowed_to("evaluator"))
        workers.subscribe(lambda _, message: self._watch.beaten() if isinstance(message, Beat) else None)
        self._intake = IntakeRequests(workers)
        self._settling = Settling(store, self._intake, troubles)
        self._steps: dict[CycleState, Callable[[Cycle], Coroutine[None, None, Cycle]]] = {
            CycleState.QUEUED: self._begin,
            CycleState.COLLECTING: self._collect,
            CycleState.TRAINING: self._train,
            CycleState.EVALUATING: self._evaluate,
            CycleState.PROMOTING: self._promote,
        }

    def on_end(self, call: Callable[[Cycle], None]) -> None:
        """Have ``call`` told of every cycle that ended."""
        self._on_end.append(call)

    # Requests ----------------------------------------------------------------------------------------------------

    async def recover(self) -> None:
        """Take up what a crash or a stop left: settle what ended, resume what did not. Call once at start."""
        self._settling.begin()
        self.current = await self._store.unfinished_cycle()
        self._recovered = True
        if self.current is not None:
            self._drive_in_background(self._resume(self.current))

    async def trigger(
        self, reason: str, request: CycleRequest | None = None, *, noting: tuple[str, str] | None = None
    ) -> Cycle:
        """Queue a cycle and begin with it. ``noting`` keeps a single value in the same transaction.

        Raises:
            CycleUnderWayError: one is not finished yet.
            StoreUnavailableError: the disk is full or read-only, or what the last run left is not repaired yet.
        """
        if not self._recovered:
            raise StoreUnavailableError("what the last run left is still being repaired; try again in a moment")
        self.current = await self._store.add_cycle(reason, request or CycleRequest(), noting)
        self._drive_in_background(self._drive(self.current))
        return self.current

    async def cancel(self, number: int, by: str) -> Cycle:
        """End a cycle that is under way; its conversations become ``new`` again.

        Raises:
            NoSuchRecordError: there is no such cycle.
            NotCancellableError: it is finished or is being promoted.
        """
        with self._watch.lines(number) as lines:  # from before the look at its state, so that its end is not missed
            cycle = await self._store.cycle(number)
            if cycle.is_final:
                raise NotCancellableError(f"cycle {number} is {cycle.state} already")
            if cycle.state is CycleState.PROMOTING or self._promoting:
                raise NotCancellableError(f"cycle {number} is being promoted; roll back when it is done")
            self._cancelled[number] = f"cancelled by {by}"
            if self._step is not None:
                self._step.cancel()
            async for _ in lines:
                pass
        cycle = await self._store.cycle(number)
        if cycle.state is not CycleState.CANCELLED:
            raise NotCancellableError(f"cycle {number} is {cycle.state} already")
        return cycle

    async def follow(self, number: int) -> AsyncIterator[dict[str, JsonValue]]:
        """Every change and every training step of a cycle as it comes, at last the cycle itself.

        Raises:
            NoSuchRecordError: there is no such cycle.
        """
        with self._watch.lines(number) as lines:
            cycle = await self._store.cycle(number)
            if not cycle.is_final:
                yield {"progress": self._watch.describe(cycle)}
                async for line in lines:
                    yield {"progress": line}
        cycle = await self._store.cycle(number)
        if not cycle.settled:  # whoever looks at the data next finds it learned
            await self._settling.wait_for_at_most(_SETTLING_SECONDS)
            cycle = await self._store.cycle(number)
        yield {"cycle": cycle.to_json()}

    def describe(self, cycle: Cycle) -> dict[str, JsonValue]:
        """A cycle for clients, with its progress of the moment."""
        shown = cycle.to_json()
        return shown if cycle.is_final else {**shown, "progress": self._watch.describe(cycle)}

    async def close(self) -> None:
        """Stop working. The unfinished cycle stays as it is and is resumed at the next start."""
        if self._driver is not None:
            self._driver.cancel()
            await asyncio.gather(self._driver, return_exceptions=True)
        await self._settling.close()
        self._watch.close()
        if self.current is not None:
            with contextlib.suppress(StoreUnavailableError):  # then this stop counts as a crash, which is harmless
                await self._store.update(self.current.id, fruitless=0)

    # The drive ---------------------------------------------------------------------------------------------------

    def _drive_in_background(self, drive: Coroutine[None, None, None]) -> None:
        self._driver = asyncio.create_task(drive)
        self._driver.add_done_callback(self._drive_ended)

    def _drive_ended(self, drive: asyncio.Task[None]) -> None:
        if not drive.cancelled() and (error := drive.exception()) is not None:
            _logger.error("the driver of cycles failed", exc_info=error)
            self._troubles.begin("cycles", f"an error of thord's own stops cycles until it is restarted: {error!r}")

    async def _resume(self, cycle: Cycle) -> None:
        if cycle.state is not CycleState.QUEUED:
            cut_short = CutShortError("thord was started again", pause=0.0, data_at_fault=False)
            cycle = await self._try_again(cycle, cut_short)
        await self._drive(cycle)

    async def _drive(self, cycle: Cycle) -> None:
        """Take one cycle to its end, one step after the other."""
        while not cycle.is_final:
            self.current = cycle
            self._watch.tell(cycle)
            with structlog.contextvars.bound_contextvars(cycle=cycle.id):
                after = await self._one_step(cycle)
            if after.state is not cycle.state:
                self._troubles.end("cycle")
            cycle = after
        self.current = None
        self._cancelled.pop(cycle.id, None)
        self._settling.begin()
        self._watch.end(cycle)
        for call in self._on_end:
            call(cycle)

    async def _one_step(self, cycle: Cycle) -> Cycle:
        """One step in a task of its own, so that it can be cancelled while the drive goes on."""
        self._step = asyncio.create_task(self._work(cycle))
        if cycle.id in self._cancelled:
            self._step.cancel()
        try:
            return await self._step
        except asyncio.CancelledError:
            if (me := asyncio.current_task()) is None or me.cancelling():
                raise  # the drive itself shall stop; the row stays as it is
            return await self._cancel(cycle)
        finally:
            self._step = None

    async def _work(self, cycle: Cycle) -> Cycle:
        """What the state asks for, and what follows if it cannot be done."""
        try:
            return await self._steps[cycle.state](cycle)
        except CutShortError as error:
            return await self._try_again(cycle, error)
        except FailedError as error:
            gate = _verdict("diverged", str(error)) if error.diverged else cycle.gate
            fault = error.data_at_fault
            return await self._move(cycle, CycleEvent.ERROR, outcome=str(error), data_at_fault=fault, gate=gate)

    async def _try_again(self, cycle: Cycle, cut_short: CutShortError) -> Cycle:
        """Count one more attempt after a pause, or fail where the last ones in a row led nowhere."""
        cycle = await insist(lambda: self._store.cycle(cycle.id), self._troubles)
        limit = self._tables().supervision.max_attempts
        if cycle.fruitless >= limit:
            why = f"{cycle.state} got no further in {limit} attempts; the last one: {cut_short}"
            return await self._move(cycle, CycleEvent.ERROR, outcome=why, data_at_fault=cut_short.data_at_fault)
        if pause := attempts.pause_seconds(cut_short.pause, cycle.fruitless):
            self._troubles.begin("cycle", f"cycle {cycle.id}: {cut_short}; it will be tried again")
            await asyncio.sleep(pause)
        return await insist(lambda: self._store.begin_attempt(cycle.id, str(cut_short)), self._troubles)

    async def _cancel(self, cycle: Cycle) -> Cycle:
        cycle = await insist(lambda: self._store.cycle(cycle.id), self._troubles)
        if cycle.is_final or cycle.state is CycleState.PROMOTING:
            return cycle  # the step was over before it could be cancelled
        return await self._move(cycle, CycleEvent.CANCEL, outcome=self._cancelled.get(cycle.id))

    # The steps ---------------------------------------------------------------------------------------------------

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
            version=await insist(lambda: self._store.next_version(highest), self._troubles),
        )

    async def _variation(self, cycle: Cycle, base: int | None) -> Variation | None:
        """How its run differs from those that came to nothing; what it was asked for is not varied."""
        earlier = await insist(lambda: self._store.cycles(_LOOKED_BACK), self._troubles)
        training = self._tables().training
        with contextlib.suppress(ValidationError):  # then the trainer says so
            training = TrainingSettings.model_validate(training.model_dump() | cycle.request.overrides)
        return candidates.differing(cycle, base, earlier, training)

    async def _train(self, cycle: Cycle) -> Cycle:
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
        furthest = Furthest(self._store, cycle)

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
        await insist(lambda: self._store.add_metrics(version, answer.metrics), self._troubles)
        metrics = {**(cycle.metrics or {}), **answer.metrics}
        judged = await insist(
            lambda: self._store.update(cycle.id, incumbent=incumbent, gate=answer.gate, metrics=metrics),
            self._troubles,
        )
        if answer.passed:
            return await self._promote(judged)
        return await self._refuse(judged, answer.gate, answer.reason)

    async def _not_worth_judging(self, cycle: Cycle, version: int) -> tuple[dict[str, JsonValue], str] | None:
        """The verdict on a candidate of which it is known without an evaluation."""
        base, sha256 = cycle.base_version, ""
        candidate = await insist(lambda: self._store.version(version), self._troubles)
        with contextlib.suppress(NoSuchRecordError):
            if base is not None:
                sha256 = (await insist(lambda: self._store.version(base), self._troubles)).sha256
        found = candidates.not_worth_judging(cycle.metrics or {}, candidate.sha256, base, sha256)
        return (_verdict(*found), found[1]) if found else None

    async def _refuse(self, cycle: Cycle, gate: Mapping[str, JsonValue], reason: str) -> Cycle:
        verdict: tuple[VersionState, str] = ("rejected", reason)
        return await self._move(
            cycle, CycleEvent.REFUSED, verdict=verdict, gate=gate, outcome=reason, data_at_fault=True
        )

    async def _promote(self, cycle: Cycle) -> Cycle:
        self._promoting = True
        try:
            await insist(lambda: self._promotion.promote_candidate(cycle), self._troubles)
        except IncumbentChangedError as error:
            _logger.info("the candidate is judged again", why=str(error))
        except NotNowError as error:
            raise CutShortError(str(error), pause=attempts.FAILURE_PAUSE, data_at_fault=False) from error
        except RefusedError as error:
            raise FailedError(f"version {version_name(cycle.version)} cannot be served: {error}") from error
        finally:
            self._promoting = False
        return await insist(lambda: self._store.cycle(cycle.id), self._troubles)

    # What the steps share ----------------------------------------------------------------------------------------

    async def _move(
        self,
        cycle: Cycle,
        event: CycleEvent,
        *,
        candidate: Version | None = None,
        verdict: tuple[VersionState, str] | None = None,
        **fields: CycleField,
    ) -> Cycle:
        return await insist(
            lambda: self._store.transition(cycle.id, event, candidate=candidate, verdict=verdict, **fields),
            self._troubles,
        )


def _verdict(kind: Ending, reason: str) -> dict[str, JsonValue]:
    """A gate's verdict where no gate was asked."""
    return {"passed": False, "kind": kind, "reason": reason}


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
            f"{found.held_out} pieces of the files are held out to judge by, {to_judge} are needed "
            "(gate.min_conversations): give more, or judge on the end of each file (--split) or on others (--val-data)"
        )
    if found.held_out < to_judge:
        return (
            f"{found.held_out} conversations are held out to judge by, {to_judge} are needed (gate.min_conversations); "
            f"that takes about {4 * to_judge} conversations in all"
        )
    return None

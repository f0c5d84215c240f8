"""Cycles as the rest of the supervisor asks for them: begin one, cancel one, follow one.

The work itself is done by the driver of jobs (`jobs.driver`), with the queue of cycles and their steps. At the end of
a cycle, however it came, the intake is told what becomes of the conversations, again and again until it has answered.
"""

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping

from pydantic import JsonValue

from control.paths import Paths
from daemon.cycle import CycleState
from daemon.messages import Beat
from daemon.settings.sections import Tables
from daemon.supervisor.intake.requests import IntakeRequests
from daemon.supervisor.jobs.attempts import Cause
from daemon.supervisor.jobs.driver import Driver
from daemon.supervisor.jobs.turns import Turns
from daemon.supervisor.learning.cycle_queue import CycleQueue
from daemon.supervisor.learning.cycle_steps import CycleSteps
from daemon.supervisor.learning.evaluation.evaluations import Evaluations
from daemon.supervisor.learning.progress import CycleWatch
from daemon.supervisor.learning.promotion import Promotion
from daemon.supervisor.learning.settling import Settling
from daemon.supervisor.processes.ports import Workers
from daemon.supervisor.store.degradations import Degradations
from daemon.supervisor.store.records import Cycle, CycleRequest
from daemon.supervisor.store.store import Store, StoreUnavailableError

_SETTLING_SECONDS = 5.0


class NotCancellableError(Exception):
    """The cycle is finished or is being promoted."""


class Cycles:
    """Begins, cancels and follows cycles.

    Attributes:
        steps: how a cycle is worked on.
    """

    def __init__(
        self,
        store: Store,
        workers: Workers,
        promotion: Promotion,
        evaluations: Evaluations,
        paths: Paths,
        tables: Callable[[], Tables],
        degradations: Degradations,
        turns: Turns,
        *,
        first_pauses: Mapping[Cause, float],
        intake_pause: float,
    ) -> None:
        self._on_end: list[Callable[[Cycle], None]] = []
        self._store = store
        self._recovered = False
        self._watch = CycleWatch(lambda: _slowed_to(workers))
        workers.subscribe(lambda _, message: self._watch.beaten() if isinstance(message, Beat) else None)
        intake = IntakeRequests(workers, intake_pause)
        self._settling = Settling(store, intake, degradations)
        self._queue = CycleQueue(store, degradations)
        self.steps = CycleSteps(
            store,
            self._queue,
            workers,
            intake,
            promotion,
            evaluations,
            self._settling,
            self._watch,
            paths,
            tables,
            degradations,
            turns,
        )
        self._driver = Driver(
            self._queue,
            self.steps,
            lambda: tables().supervision.max_attempts,
            degradations,
            changed=self._watch.tell,
            ended=self._ended,
            first_pauses=first_pauses,
        )

    @property
    def current(self) -> Cycle | None:
        """The cycle that is under way, or null."""
        return self._driver.current

    def on_end(self, call: Callable[[Cycle], None]) -> None:
        """Have ``call`` told of every cycle that ended."""
        self._on_end.append(call)

    # Requests ----------------------------------------------------------------------------------------------------

    async def recover(self) -> None:
        """Take up what a crash or a stop left: settle what ended, resume what did not. Call once at start."""
        self._settling.begin()
        await self._driver.resume()
        self._recovered = True

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
        return await self._driver.start(reason, request or CycleRequest(), noting=noting)

    async def cancel(self, number: int, by: str) -> Cycle:
        """End a cycle that is under way; its conversations become ``new`` again.

        Raises:
            NoSuchRecordError: there is no such cycle.
            NotCancellableError: it is finished or is being promoted.
        """
        with self._watch.followers.lines(number) as lines:  # from before the look, so that its end is not missed
            cycle = await self._store.cycle(number)
            if cycle.is_final:
                raise NotCancellableError(f"cycle {number} is {cycle.state} already")
            if cycle.state is CycleState.PROMOTING or self.steps.promoting:
                raise NotCancellableError(f"cycle {number} is being promoted; roll back when it is done")
            self._queue.request_cancel(number, f"cancelled by {by}")
            self._driver.interrupt()
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
        with self._watch.followers.lines(number) as lines:
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
        await self._driver.close()
        await self._settling.close()
        self._watch.followers.close()
        if self.current is not None:
            with contextlib.suppress(StoreUnavailableError):  # then this stop counts as a crash, which is harmless
                await self._store.update(self.current.id, attempts_without_progress=0)

    def _ended(self, cycle: Cycle) -> None:
        self._queue.forget(cycle)
        self._settling.begin()
        self._watch.end(cycle)
        for call in self._on_end:
            call(cycle)


def _slowed_to(workers: Workers) -> float | None:
    """The share of a processor that the run of the moment has, where other programs slow it down."""
    training = workers.slowed_to("trainer")
    return workers.slowed_to("evaluator") if training is None else training

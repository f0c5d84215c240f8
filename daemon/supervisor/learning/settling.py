"""Having the intake give the conversations of every ended cycle their final state, however often it takes."""

import asyncio

from daemon import background
from daemon.cycle import CycleState
from daemon.messages import Settle
from daemon.supervisor.intake.requests import IntakeRequests
from daemon.supervisor.processes.ports import CommandFailedError, WorkerLostError
from daemon.supervisor.store.degradations import Degradations, retry_until_stored
from daemon.supervisor.store.records import Cycle
from daemon.supervisor.store.store import Store


class Settling:
    """Works through the cycles that have ended and are not settled, one after the other, in the background."""

    def __init__(self, store: Store, intake: IntakeRequests, degradations: Degradations) -> None:
        self._store = store
        self._intake = intake
        self._degradations = degradations
        self._task: asyncio.Task[None] | None = None
        self._more = False

    def begin(self) -> None:
        """A cycle has ended, or thord was started."""
        self._more = True
        if self._task is None or self._task.done():
            self._task = background.begin(self._settle_all(), "settling of cycles")

    async def wait(self) -> None:
        """Wait until everything is settled."""
        if self._task is not None:
            await asyncio.shield(self._task)

    async def wait_for_at_most(self, seconds: float) -> None:
        """The same, but not for ever: an intake that is down may take long."""
        if self._task is not None:
            await asyncio.wait([self._task], timeout=seconds)

    async def close(self) -> None:
        """Stop; the rest is settled after the next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _settle_all(self) -> None:
        while self._more:
            self._more = False
            for cycle in await retry_until_stored(self._store.unsettled_cycles, self._degradations):
                await self._settle(cycle)

    async def _settle(self, cycle: Cycle) -> None:
        learned = cycle.state is CycleState.PROMOTED
        command = Settle(cycle=cycle.id, learned=learned, count_try=cycle.data_at_fault, why=cycle.outcome or "")
        pauses = self._degradations.pauses()
        while (complaint := await self._complaint(command)) is not None:
            self._degradations.begin("settling", f"cycle {cycle.id} is not settled: {complaint}; trying again")
            await asyncio.sleep(next(pauses))
        self._degradations.end("settling")
        await retry_until_stored(lambda: self._store.update(cycle.id, settled=True), self._degradations)

    async def _complaint(self, command: Settle) -> str | None:
        try:
            await self._intake.settle(command)
        except (WorkerLostError, CommandFailedError) as error:
            return str(error)
        return None

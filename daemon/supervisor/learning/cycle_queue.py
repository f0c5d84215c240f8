"""Cycles as a queue of jobs: the store's table of cycles, where one cycle is under way at a time."""

import contextlib

from daemon.cycle import CycleEvent
from daemon.supervisor.jobs.queue import Ending
from daemon.supervisor.learning.candidates import verdict
from daemon.supervisor.store.degradations import Degradations, retry_until_stored
from daemon.supervisor.store.records import Cycle, CycleRequest
from daemon.supervisor.store.store import Store, StoreUnavailableError


class CycleQueue:
    """A `JobQueue` of cycles. All but `put` wait for as long as the disk is full or read-only."""

    def __init__(self, store: Store, degradations: Degradations) -> None:
        self._store = store
        self._degradations = degradations
        self._cancelled: dict[int, str] = {}

    async def put(self, reason: str, request: CycleRequest, *, noting: tuple[str, str] | None = None) -> Cycle:
        """Queue a cycle, and keep a single value in the same transaction.

        Raises:
            CycleUnderWayError: one is not finished yet.
            StoreUnavailableError: nothing was written.
        """
        return await self._store.add_cycle(reason, request, noting)

    async def claim(self) -> Cycle | None:
        """The cycle that is not finished; null where there is none."""
        return await self._store.unfinished_cycle()

    async def refresh(self, job: Cycle) -> Cycle:
        """Read the cycle as it is stored now."""
        return await retry_until_stored(lambda: self._store.cycle(job.id), self._degradations)

    async def retry(self, job: Cycle, why: str) -> Cycle:
        """Begin another attempt at a cycle whose last one was cut short."""
        return await retry_until_stored(lambda: self._store.begin_attempt(job.id, why), self._degradations)

    async def beat(self, job: Cycle, progress: int) -> None:
        """Note the training step that this attempt has reached."""
        with contextlib.suppress(StoreUnavailableError):  # then this attempt counts for less than it was
            await self._store.update(job.id, furthest=progress, attempts_without_progress=0)

    async def finish(self, job: Cycle, ending: Ending) -> Cycle:
        """End a cycle that failed or was cancelled."""
        if ending.cancelled:
            return await retry_until_stored(
                lambda: self._store.transition(job.id, CycleEvent.CANCEL, outcome=ending.outcome), self._degradations
            )
        gate = verdict("diverged", ending.outcome or "") if ending.diverged else job.gate
        return await retry_until_stored(
            lambda: self._store.transition(
                job.id, CycleEvent.ERROR, outcome=ending.outcome, data_at_fault=ending.data_at_fault, gate=gate
            ),
            self._degradations,
        )

    def request_cancel(self, number: int, why: str) -> None:
        """Note that the cycle shall end, and why; `cancel_requested` tells it."""
        self._cancelled[number] = why

    def cancel_requested(self, job: Cycle) -> str | None:
        """Who wants the cycle to end, as a sentence for people; null: nobody."""
        return self._cancelled.get(job.id)

    def forget(self, job: Cycle) -> None:
        """Forget what was asked of a cycle that has ended."""
        self._cancelled.pop(job.id, None)

"""How far training came, written down now and then: it tells an attempt that leads somewhere from one that does not."""

import asyncio
import contextlib
import time

from daemon.supervisor.store.records import Cycle
from daemon.supervisor.store.store import Store, StoreUnavailableError

PROGRESS_WRITE_SECONDS = 5.0
"""At most this often is the furthest step written down; the first one beyond the last attempt's always is."""


class Furthest:
    """Writes down how far one cycle came."""

    def __init__(self, store: Store, cycle: Cycle) -> None:
        self._store = store
        self._cycle = cycle.id
        self._step = cycle.furthest
        self._written_at = float("-inf")
        self._writing: asyncio.Task[None] | None = None

    def reached(self, step: int) -> None:
        """Training reported this step."""
        now = time.monotonic()
        busy = self._writing is not None and not self._writing.done()
        if step > self._step and not busy and now - self._written_at >= PROGRESS_WRITE_SECONDS:
            self._step, self._written_at = step, now
            self._writing = asyncio.create_task(self._write(step))

    async def _write(self, step: int) -> None:
        with contextlib.suppress(StoreUnavailableError):  # then this attempt counts for less than it was
            await self._store.update(self._cycle, furthest=step, fruitless=0)

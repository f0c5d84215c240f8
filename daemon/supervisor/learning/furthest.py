"""How far training came, written down now and then: it tells an attempt that leads somewhere from one that does not."""

import asyncio
import time

from daemon import background
from daemon.supervisor.learning.cycle_queue import CycleQueue
from daemon.supervisor.store.records import Cycle

PROGRESS_WRITE_SECONDS = 5.0
"""At most this often is the furthest step written down; the first one beyond the last attempt's always is."""


class Furthest:
    """Writes down how far one cycle came."""

    def __init__(self, queue: CycleQueue, cycle: Cycle) -> None:
        self._queue = queue
        self._cycle = cycle
        self._step = cycle.furthest
        self._written_at = float("-inf")
        self._writing: asyncio.Task[None] | None = None

    def reached(self, step: int) -> None:
        """Note that training reported this step; it is written down now and then."""
        now = time.monotonic()
        busy = self._writing is not None and not self._writing.done()
        if step > self._step and not busy and now - self._written_at >= PROGRESS_WRITE_SECONDS:
            self._step, self._written_at = step, now
            self._writing = background.begin(self._queue.beat(self._cycle, step), "progress of training")

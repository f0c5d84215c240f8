"""Turns at the trainer: one holds it, the others wait, by the rule of `precedence`."""

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Callable

from daemon.settings.jobs import JobSettings
from daemon.supervisor.jobs.precedence import Claim, gives_way_after, next_of


class Turns:
    """Gives turns.

    Args:
        settings: gives ``[jobs]`` as it is now.
    """

    def __init__(self, settings: Callable[[], JobSettings]) -> None:
        self._settings = settings
        self._arrivals = itertools.count()
        self._waiting: dict[Claim, asyncio.Future[None]] = {}
        self._holder: Claim | None = None
        self._held_since = 0.0
        self._give_way: Callable[[], None] = lambda: None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_held_by_job(self) -> bool:
        """Whether a cycle that comes now has to wait for a job."""
        return self._holder is not None and self._holder.kind == "job"

    @contextlib.asynccontextmanager
    async def cycle(self) -> AsyncIterator[None]:
        """Hold the trainer for a cycle, as soon as it is its turn."""
        async with self._turn(Claim("cycle", self._settings().cycle_priority, next(self._arrivals)), lambda: None):
            yield

    @contextlib.asynccontextmanager
    async def job(self, priority: int, give_way: Callable[[], None]) -> AsyncIterator[None]:
        """Hold the trainer for a job; ``give_way`` is called when it is to stop for a cycle."""
        async with self._turn(Claim("job", priority, next(self._arrivals)), give_way):
            yield

    @contextlib.asynccontextmanager
    async def _turn(self, claim: Claim, give_way: Callable[[], None]) -> AsyncIterator[None]:
        given = self._waiting[claim] = asyncio.get_running_loop().create_future()
        self._arrange()
        try:
            await given
            self._give_way = give_way
            self._arrange()
            yield
        finally:
            self._waiting.pop(claim, None)
            if self._holder is claim:
                self._holder = None
            self._arrange()

    def _arrange(self) -> None:
        """Give the trainer to who is next, or find out when the holder is to give way."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._holder is None:
            self._give_way = lambda: None
            if (claim := next_of(self._waiting)) is not None:
                self._holder, self._held_since = claim, time.monotonic()
                given = self._waiting.pop(claim)
                if not given.done():  # else whoever waited is just leaving
                    given.set_result(None)
            return
        after = gives_way_after(self._holder, self._waiting, 60.0 * self._settings().turn_minutes)
        if after is not None:
            left = max(0.0, self._held_since + after - time.monotonic())
            self._timer = asyncio.get_running_loop().call_later(left, self._give_way)

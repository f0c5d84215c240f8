"""Events on their way to Redis: from a bounded queue, in a thread of its own, so that nobody ever waits for Redis.

Events of the store are delivered: whoever asks is told whether Redis has them, and asks again. Events of the moment are
offered: while Redis is away, or slower than they come, they are dropped and counted.
"""

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from daemon.supervisor.integrations.own_thread import BusyError, OwnThread
from daemon.supervisor.integrations.redis_client import RedisUnavailableError
from daemon.supervisor.integrations.trainer_events import TrainerEvent

_CAPACITY = 1000
_PAUSE_SECONDS = 2.0
"""After a failure, the time in which events of the moment are dropped without another try."""


class Connection(Protocol):
    """The way to the server. Blocking."""

    def send(self, events: Sequence[TrainerEvent]) -> None:
        """Send all of them or none.

        Raises:
            RedisUnavailableError: nothing was sent, or nobody knows.
        """


@dataclass
class Counts:
    """Events since the start."""

    published: int = 0
    dropped: int = 0


class Publisher:
    """Hands events to the thread that sends them.

    Args:
        connection: the way to the server.
        capacity: how many calls may wait for the thread.
        clock: gives the time in seconds.

    Attributes:
        counts: what was published and what was dropped.
    """

    def __init__(
        self, connection: Connection, capacity: int = _CAPACITY, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.counts = Counts()
        self._connection = connection
        self._clock = clock
        self._thread = OwnThread("events to Redis", capacity)
        self._away_until = 0.0

    async def deliver(self, events: Sequence[TrainerEvent]) -> None:
        """Send events; returns when Redis has them.

        Raises:
            RedisUnavailableError: it does not have them, or nobody knows.
        """
        try:
            await self._thread.run(lambda: self._send(events))
        except BusyError as error:
            raise RedisUnavailableError(str(error)) from error

    def offer(self, make: Callable[[], Sequence[TrainerEvent]]) -> None:
        """Have the events sent that ``make`` returns, called in the thread; they are dropped where that fails."""

        def send() -> None:
            events = make()
            if self._clock() < self._away_until:
                self.counts.dropped += len(events)
                return
            with contextlib.suppress(RedisUnavailableError):
                self._send(events)
                return
            self.counts.dropped += len(events)

        if not self._thread.offer(send):
            self.counts.dropped += 1

    def close(self) -> None:
        """Stop sending."""
        self._thread.close()

    def _send(self, events: Sequence[TrainerEvent]) -> None:
        if not events:
            return
        try:
            self._connection.send(events)
        except RedisUnavailableError:
            self._away_until = self._clock() + _PAUSE_SECONDS
            raise
        self._away_until = 0.0
        self.counts.published += len(events)

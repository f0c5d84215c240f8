"""Whoever follows one thing by its number, line by line until it ends."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Generic, TypeVar

_QUEUED_LINES = 256
"""A follower who reads more slowly than this misses the oldest lines."""

L = TypeVar("L")


class Followers(Generic[L]):
    """Hands lines to those who follow."""

    def __init__(self) -> None:
        self._queues: dict[asyncio.Queue[L | None], int] = {}

    @contextlib.contextmanager
    def lines(self, number: int) -> Iterator[AsyncIterator[L]]:
        """The lines about a number that are sent from now on, until its end."""
        queue: asyncio.Queue[L | None] = asyncio.Queue()
        self._queues[queue] = number
        try:
            yield _until_none(queue)
        finally:
            del self._queues[queue]

    def send(self, number: int, line: L | None) -> None:
        """Hand a line to all who follow the number; null ends their streams."""
        for queue, followed in self._queues.items():
            if followed != number:
                continue
            if queue.qsize() >= _QUEUED_LINES:
                queue.get_nowait()
            queue.put_nowait(line)

    def close(self) -> None:
        """End all streams."""
        for queue in self._queues:
            queue.put_nowait(None)


async def _until_none(queue: asyncio.Queue[L | None]) -> AsyncIterator[L]:
    while (line := await queue.get()) is not None:
        yield line

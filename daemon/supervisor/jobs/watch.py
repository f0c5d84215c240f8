"""Who follows jobs, and what they are told: each state that a job comes to, and how far its attempt is."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping

from pydantic import JsonValue

from daemon import log
from daemon.supervisor.store.job_records import Job

_QUEUED_LINES = 256
"""A follower who reads more slowly than this misses the oldest lines."""
_logger = log.get(__name__)

Line = dict[str, JsonValue]
"""``{"job": …}`` in a new state, or ``{"progress": …}`` in the state before."""
OnNews = Callable[[Job, Mapping[str, JsonValue] | None], None]
"""Is given the job, and how far it came; null: it is in a new state."""


class JobWatch:
    """Hands news about jobs to whoever follows them, all or a single one."""

    def __init__(self) -> None:
        self._subscribers: list[OnNews] = []
        self._followers: dict[asyncio.Queue[Line | None], int] = {}

    def subscribe(self, call: OnNews) -> None:
        """Have ``call`` told in the loop of every change of every job. It must not block."""
        self._subscribers.append(call)

    @contextlib.contextmanager
    def lines(self, number: int) -> Iterator[AsyncIterator[Line]]:
        """The lines told about a job from now on, until it ends."""
        queue: asyncio.Queue[Line | None] = asyncio.Queue()
        self._followers[queue] = number
        try:
            yield _until_none(queue)
        finally:
            del self._followers[queue]

    def changed(self, job: Job) -> None:
        """Tell that a job is in a new state."""
        self._call(job, None)
        self._send(job.id, {"job": job.to_json()})
        if job.is_final:
            self._send(job.id, None)

    def progressed(self, job: Job, progress: Mapping[str, JsonValue]) -> None:
        """Tell how far a job came."""
        self._call(job, progress)
        self._send(job.id, {"progress": dict(progress)})

    def close(self) -> None:
        """End the streams of all followers."""
        for queue in self._followers:
            queue.put_nowait(None)

    def _call(self, job: Job, progress: Mapping[str, JsonValue] | None) -> None:
        for call in self._subscribers:
            try:
                call(job, progress)
            except Exception:  # what a subscriber does wrong must not stop the job
                _logger.exception("a subscriber to jobs failed", job=job.id)

    def _send(self, number: int, line: Line | None) -> None:
        for queue, followed in self._followers.items():
            if followed != number:
                continue
            if queue.qsize() >= _QUEUED_LINES:
                queue.get_nowait()
            queue.put_nowait(line)


async def _until_none(queue: asyncio.Queue[Line | None]) -> AsyncIterator[Line]:
    while (line := await queue.get()) is not None:
        yield line

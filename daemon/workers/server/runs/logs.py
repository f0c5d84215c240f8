"""Logs of runs as they grow: one look at the file and one question for the job's state, however many read along."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from control.job_answers import FINAL, Job
from control.paths import Paths
from daemon import background
from daemon.workers.server.errors import ApiError
from daemon.workers.server.runs.log_file import Chunk, LogFile, Position
from daemon.workers.server.runs.port import JobPort

MOST_READERS = 256
_LOOK_SECONDS = 0.25
_STATE_LOOKS = 8
"""Looks at the file for each question for the job's state."""
_REMEMBERED = 4


def log_of(paths: Paths, job: Job) -> Path:
    """Where the lines of a run are, those of all its attempts."""
    return paths.job_log(job["id"])


class RunLogs:
    """The logs that are being read. Everything happens in the event loop, but reading files."""

    def __init__(self, jobs: JobPort, paths: Paths) -> None:
        self._jobs = jobs
        self._paths = paths
        self._watches: dict[int, LogWatch] = {}
        self._readers = 0
        self.closed = asyncio.Event()

    def file(self, job: Job) -> LogFile:
        """The log of a run."""
        return LogFile(log_of(self._paths, job))

    def close(self) -> None:
        """End every stream: the server stops."""
        self.closed.set()
        for watch in self._watches.values():
            watch.wake()

    @contextlib.asynccontextmanager
    async def watch(self, job: Job) -> "AsyncIterator[LogWatch]":
        """Look after the log of a run for as long as somebody reads it.

        Raises:
            ApiError: 503, too many read already.
        """
        if self._readers >= MOST_READERS:
            raise ApiError(503, "too_many_streams", f"{MOST_READERS} streams are open already", retry_after=5)
        number = job["id"]
        watch = self._watches.get(number)
        if watch is None:
            watch = self._watches[number] = LogWatch(self.file(job), job, self._jobs)
        self._readers += 1
        watch.readers += 1
        try:
            yield watch
        finally:
            self._readers -= 1
            watch.readers -= 1
            if not watch.readers:
                self._watches.pop(number, None)
                watch.close()


class LogWatch:
    """The log of one run, and whether the run has ended.

    Attributes:
        job: as it was said last.
        readers: how many wait for lines.
        changes: counts what was new.
    """

    def __init__(self, file: LogFile, job: Job, jobs: JobPort) -> None:
        self.job = job
        self.readers = 0
        self.changes = 0
        self._file = file
        self._jobs = jobs
        self._news = asyncio.Event()
        self._chunks: dict[tuple[Position | None, int], asyncio.Task[Chunk]] = {}
        self._looking = background.begin(self._look(), f"log of job {job['id']}")

    @property
    def is_over(self) -> bool:
        """The run has ended, so that no line follows those in the file."""
        return self.job["state"] in FINAL

    def wake(self) -> None:
        """Have everybody who waits look again."""
        self.changes += 1
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def changed(self, since: int, seconds: float) -> bool:
        """Wait until there is something new ``since`` that count. False: there was nothing for so long."""
        if self.changes != since:
            return True
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return False
        return True

    async def after(self, start: Position | None) -> Chunk:
        """The lines after a position. Who asks from where another has just asked is given the same."""
        key = start, self.changes
        reading = self._chunks.get(key)
        if reading is None:
            while len(self._chunks) >= _REMEMBERED:
                del self._chunks[next(iter(self._chunks))]
            reading = self._chunks[key] = asyncio.create_task(asyncio.to_thread(self._file.after, start))
        return await asyncio.shield(reading)

    def close(self) -> None:
        """Nobody reads any more."""
        self._looking.cancel()

    async def _look(self) -> None:
        """Notice lines and the end of the run. A last look at the file follows the word that it has ended."""
        seen, looks = self._file.state(), 0
        while not self.is_over:
            await asyncio.sleep(_LOOK_SECONDS)
            looks += 1
            state, job = self._file.state(), self.job
            if looks % _STATE_LOOKS == 0:
                with contextlib.suppress(ApiError):
                    job = await self._jobs.get(self.job["id"])
                state = self._file.state()
            if state != seen or job["state"] in FINAL:
                seen, self.job = state, job
                self.wake()

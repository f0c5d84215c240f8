"""Keeps Redis in line with the store: messages of jobs that wait for a host, and the keys that other programs read.

The store is the truth and Redis a copy of a part of it, made again and again: where Redis was away, or came back empty,
the next round puts in what is missing. One round reads what nobody else may write, the cancellations.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Protocol

from pydantic import JsonValue

from daemon import background, log
from daemon.job import DOCUMENTED, FINAL, REMOTE, JobState
from daemon.supervisor.integrations.own_thread import BusyError, OwnThread
from daemon.supervisor.integrations.redis_client import RedisUnavailableError
from daemon.supervisor.jobs.jobs import Jobs
from daemon.supervisor.remote.message import RunMessage
from daemon.supervisor.store.degradations import Degradations, retry_until_stored
from daemon.supervisor.store.errors import JobEndedError, NoSuchRecordError
from daemon.supervisor.store.job_records import Job
from daemon.supervisor.store.store import Store

_BEFORE_GIVING_UP = 10_000
"""Runs whose keys wait to be written; of more, the oldest are not written any more."""
_logger = log.get(__name__)


class Queues(Protocol):
    """Redis, as it is needed here. Blocking; every method raises RedisUnavailableError."""

    def sync(self, wanted: Mapping[RunMessage, str]) -> None:
        """Have exactly these messages in their queues."""

    def cancelled(self, runs: Sequence[str]) -> list[str]:
        """Those of these runs that somebody cancelled in Redis."""
        ...

    def tell(self, run: str, status: str, heartbeat: Mapping[str, JsonValue] | None, *, ended: bool) -> None:
        """Write the documented keys of a run."""


class Dispatcher:
    """Begins with `start`, ends with `close`.

    Args:
        queues: Redis.
        store: where the jobs are.
        jobs: what happens to them.
        degradations: is told while Redis is away.
        offers: jobs are offered to other hosts; else only the keys are kept.
        seconds: between two rounds; a change of a job begins one at once.
    """

    def __init__(
        self,
        queues: Queues,
        store: Store,
        jobs: Jobs,
        degradations: Degradations,
        *,
        offers: bool,
        seconds: float = 1.0,
    ) -> None:
        self._queues = queues
        self._store = store
        self._jobs = jobs
        self._degradations = degradations
        self._offers = offers
        self._seconds = seconds
        self._thread = OwnThread("queues in Redis", capacity=4)
        self._news: dict[str, tuple[JobState, Mapping[str, JsonValue] | None]] = {}
        self._stirred = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        jobs.watch.subscribe(self._changed)

    def start(self) -> None:
        """Begin with the rounds."""
        self._task = background.begin(self._keep(), "queues in Redis")

    async def close(self) -> None:
        """Stop. Messages stay in their queues, for hosts that work on while thord is started again."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._thread.close()

    def _changed(self, job: Job, progress: Mapping[str, JsonValue] | None) -> None:
        """Note what is to be written in the next round: of each run the newest."""
        if job.kind not in REMOTE or job.run_id is None:
            return
        _, before = self._news.pop(job.run_id, (job.state, None))
        self._news[job.run_id] = job.state, progress or before
        while len(self._news) > _BEFORE_GIVING_UP:
            del self._news[next(iter(self._news))]
        if progress is None:
            self._stirred.set()

    async def _keep(self) -> None:
        pauses = self._degradations.pauses()
        while True:
            self._stirred.clear()
            try:
                await self._round()
            except (RedisUnavailableError, BusyError) as error:
                self._degradations.begin("queues", f"jobs wait for Redis before other hosts hear of them: {error}")
                await asyncio.sleep(next(pauses))
                continue
            except Exception as error:  # anybody may write to Redis, and anything
                _logger.exception("queues in Redis failed in a way nobody expected")
                self._degradations.begin("queues", f"other hosts do not hear of jobs: internal error: {error!r}")
                await asyncio.sleep(next(pauses))
                continue
            self._degradations.end("queues")
            pauses = self._degradations.pauses()
            try:
                async with asyncio.timeout(self._seconds):
                    await self._stirred.wait()
            except TimeoutError:
                pass

    async def _round(self) -> None:
        unfinished = await retry_until_stored(self._store.unfinished_jobs, self._degradations)
        known = [job for job in unfinished if job.kind in REMOTE]
        if self._offers:
            wanted = {RunMessage(job.id, job.attempt + 1): job.queue for job in known if job.state is JobState.QUEUED}
            await self._thread.run(lambda: self._queues.sync(wanted))
        runs = {job.run_id: job.id for job in known if job.run_id is not None and job.state is not JobState.CANCELLING}
        for run in await self._thread.run(lambda: self._queues.cancelled(list(runs))):
            try:
                await self._jobs.cancel(runs[run], f"the key runs:{run}:cancelled in Redis")
            except (JobEndedError, NoSuchRecordError):
                continue
        await self._write_keys()

    async def _write_keys(self) -> None:
        while self._news:
            run, (state, progress) = next(iter(self._news.items()))
            status, ended = DOCUMENTED[state], state in FINAL
            await self._thread.run(lambda: self._queues.tell(run, status, progress, ended=ended))  # noqa: B023 - awaited
            if self._news.get(run) == (state, progress):
                del self._news[run]

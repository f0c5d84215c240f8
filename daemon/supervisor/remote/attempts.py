"""Attempts on other hosts, as thord sees them: given away, sent files for, and ended.

Whatever a host sends is put into ``incoming/JOB-ATTEMPT/`` first, and takes its place only while the attempt is the
current one: a host that was given up and still writes does no harm.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Protocol

from pydantic import JsonValue

from control.paths import Paths
from daemon import background, log
from daemon.job import REMOTE
from daemon.messages import Train, Trained
from daemon.settings import secrets
from daemon.settings.sections import Tables
from daemon.supervisor.jobs.attempts import FailedError
from daemon.supervisor.jobs.endings import Report
from daemon.supervisor.jobs.jobs import OWN_WORKERS, Jobs
from daemon.supervisor.processes.ports import CommandFailedError, WorkerLostError, WorkerUnavailableError
from daemon.supervisor.remote import placing
from daemon.supervisor.remote.work import Claimed, Delivery, Finished
from daemon.supervisor.store.errors import NotClaimableError, StaleAttemptError
from daemon.supervisor.store.job_records import Job
from daemon.supervisor.store.store import Store

_BEAT_SECONDS = 10.0
_FAILURES = (FailedError, CommandFailedError, WorkerLostError, WorkerUnavailableError)
"""What workers of thord's own host can come to, before the run and after it."""
_logger = log.get(__name__)


class Runs(Protocol):
    """What comes before a run is computed and after it, wherever that is done."""

    async def prepare(self, job: Job, attempt: int) -> Train:
        """Collect the snapshot, and fix version and what the run goes on from; may be repeated.

        Raises:
            FailedError: it cannot be done.
            CommandFailedError, WorkerLostError, WorkerUnavailableError: the intake could not.
        """
        ...

    async def conclude(self, job: Job, attempt: int, answer: Trained) -> Job:
        """Record the version that was published, and end the attempt and its job.

        Raises:
            FailedError: it is not what a run publishes.
            CommandFailedError, WorkerLostError, WorkerUnavailableError: the evaluator could not.
        """
        ...


class RemoteAttempts:
    """Attempts that other hosts work on."""

    def __init__(self, jobs: Jobs, store: Store, runs: Runs, paths: Paths, tables: Callable[[], Tables]) -> None:
        self._jobs = jobs
        self._store = store
        self._runs = runs
        self._paths = paths
        self._tables = tables
        self._locks: dict[int, asyncio.Lock] = {}
        self._commands: dict[int, Train] = {}

    async def recover(self) -> None:
        """Remove what attempts left that are over. Call once at start."""
        under_way = {(attempt.job, attempt.number) for attempt in await self._store.open_attempts()}
        await asyncio.to_thread(placing.forget_all_but, self._paths, under_way)

    async def claim(self, number: int, attempt: int, *, host: str, worker: str, pid: int) -> Claimed:
        """Give an attempt to a host, with all that it needs.

        Raises:
            NoSuchRecordError: there is no such job.
            NotClaimableError: it is not for other hosts, not queued, or the message that asked for it is old.
            StaleAttemptError: what comes before the run could not be done, and the attempt has ended by that.
        """
        if worker in OWN_WORKERS:  # it would need no signs of life
            raise NotClaimableError(f"'{worker}' is a worker of thord's own host; give this one another name")
        async with self._locked(number):
            job = await self._store.job(number)
            if job.kind not in REMOTE:
                raise NotClaimableError(f"job {number} is of kind {job.kind}, which only its own host does")
            if job.attempt + 1 != attempt:
                raise NotClaimableError(f"the next attempt at job {number} is its {job.attempt + 1}th, not {attempt}")
            log_file = self._paths.job_log(number)
            log_size = log_file.stat().st_size if log_file.exists() else 0
            job, given = await self._jobs.claim(number, host=host, worker=worker, pid=pid, log_offset=log_size)
            async with self._beating(number, given.number):
                command = await self._prepared(job, given.number)
            await asyncio.to_thread(placing.forget, self._paths, number)
            settings = self._tables()
            _logger.info("attempt given to another host", job=number, attempt=given.number, host=host)
            return Claimed(
                job=number,
                attempt=given.number,
                run_id=job.run_id,
                command=command.model_dump(mode="json"),
                settings=secrets.masked(settings.model_dump(mode="json")),
                tokenizer=self._tokenizer(command),
                run=self._relative(self._paths.job_run(number)),
                version=self._relative(self._paths.version(command.version)),
                lease_seconds=settings.jobs.lease_seconds,
            )

    async def beat(self, number: int, attempt: int, progress: Mapping[str, JsonValue] | None = None) -> bool:
        """As `Jobs.beat`, but for attempts on other hosts alone.

        Raises:
            StaleAttemptError: it is not the current attempt, or not one of another host.
        """
        if self._jobs.is_done_here(number):
            raise StaleAttemptError(f"job {number} is carried out by thord's own host")
        return await self._jobs.beat(number, attempt, progress)

    async def folders(self, number: int, attempt: int) -> list[str]:
        """What the attempt needs of the state folder, as paths relative to it; those that exist.

        Raises:
            StaleAttemptError: it is not the current attempt.
        """
        async with self._locked(number):
            await self.beat(number, attempt)
            command = self._commands.get(number)  # none is known after a restart of thord
            if command is None:
                async with self._beating(number, attempt):
                    command = await self._prepared(await self._store.job(number), attempt)
        needed = [self._paths.job_snapshot(number), self._paths.job_run(number)]
        if (tokenizer := self._tokenizer(command)) is not None:
            needed.append(self._paths.state / tokenizer)
        if command.base is not None:
            base = await self._store.version(command.base)
            needed += [self._paths.version(each) for each in (base.number, base.base) if each is not None]
        return [self._relative(folder) for folder in needed if folder.exists()]

    async def deliver(self, number: int, delivery: Delivery) -> None:
        """Put files of the run in place.

        Raises:
            StaleAttemptError: it is not the current attempt; nothing was done.
            BadDeliveryError: a file is not what its sum says, or not of this run.
        """
        async with self._locked(number):
            await self.beat(number, delivery.attempt)
            job = await self._store.job(number)
            await asyncio.to_thread(placing.place_run, self._paths, job, delivery)

    async def finish(self, number: int, finished: Finished) -> Job:
        """End an attempt. Said again, it changes nothing.

        Raises:
            StaleAttemptError: it is not the current attempt; nothing was done.
            BadDeliveryError: a file of the version is not what its sum says.
        """
        async with self._locked(number):
            job, attempts = await self._store.job_with_attempts(number)
            if any(each.number == finished.attempt and each.cause == finished.cause for each in attempts):
                return job
            await self.beat(number, finished.attempt, finished.progress)
            job = await self._end(job, finished)
            await asyncio.to_thread(placing.forget, self._paths, number)
            self._commands.pop(number, None)
            return job

    async def _end(self, job: Job, finished: Finished) -> Job:
        error, attempt = finished.error, finished.attempt
        if finished.state == "completed" and job.version is not None:
            async with self._beating(job.id, attempt):
                await asyncio.to_thread(placing.place_version, self._paths, job, job.version, finished)
                try:
                    return await self._runs.conclude(job, attempt, Trained(to=0, version=job.version))
                except _FAILURES as problem:
                    return await self._jobs.finish(job.id, attempt, _report(problem))
        match finished.state:
            case "cancelled":
                report = Report("cancelled", "cancelled")
            case "stopped":
                report = Report("put_back", "stopped", error or "the host that worked on it was stopped")
            case _:
                report = Report("failed", finished.cause, error, retry=finished.retry)
        return await self._jobs.finish(job.id, attempt, report)

    async def _prepared(self, job: Job, attempt: int) -> Train:
        """What comes before the run; where that fails, the attempt ends."""
        try:
            command = await self._runs.prepare(job, attempt)
        except _FAILURES as error:
            await self._jobs.finish(job.id, attempt, _report(error))
            raise StaleAttemptError(f"job {job.id} could not be begun: {error}") from error
        self._commands[job.id] = command
        return command

    def _tokenizer(self, command: Train) -> str | None:
        """The folder of the tokenizer that a run is to use, relative to the state folder; null: its own."""
        folder = command.tokenizer.get("folder")
        return self._relative(Path(folder)) if isinstance(folder, str) else None

    @contextlib.asynccontextmanager
    async def _beating(self, number: int, attempt: int) -> AsyncIterator[None]:
        """Inside, the attempt keeps its lease: it is thord that works."""

        async def beat() -> None:
            with contextlib.suppress(StaleAttemptError):
                while True:
                    await self._jobs.beat(number, attempt)
                    await asyncio.sleep(_BEAT_SECONDS)

        beats = background.begin(beat(), f"beats of job {number}")
        try:
            yield
        finally:
            beats.cancel()

    def _locked(self, number: int) -> asyncio.Lock:
        return self._locks.setdefault(number, asyncio.Lock())

    def _relative(self, path: Path) -> str:
        return str(path.relative_to(self._paths.state))


def _report(error: Exception) -> Report:
    """What is said of an attempt that failed on thord's own host."""
    retry = error.retry if isinstance(error, CommandFailedError) else not isinstance(error, FailedError)
    return Report("failed", "raised", str(error), retry=retry)

"""Jobs as clients ask for them: submit, look, follow, cancel; and as workers carry them out: claim, beat, finish.

The row in the store is the truth. Whoever works on a job, in this host's workers or elsewhere, does it in the same
three steps, and every report names the attempt, so that one that was given up cannot do any harm.
"""

import asyncio
import contextlib
import datetime
import functools
import math
import socket
import time
from collections.abc import AsyncIterator, Callable, Mapping

from pydantic import JsonValue

from daemon import background, log
from daemon.clock import time_of_day, utc_now
from daemon.job import JobState
from daemon.settings.jobs import JobSettings
from daemon.supervisor.jobs.endings import Report, ending
from daemon.supervisor.jobs.open_attempts import OpenAttempt, OpenAttempts
from daemon.supervisor.jobs.watch import JobWatch
from daemon.supervisor.store.degradations import Degradations, retry_until_stored
from daemon.supervisor.store.errors import NoSuchRecordError, StaleAttemptError
from daemon.supervisor.store.job_records import Attempt, Job, NewJob
from daemon.supervisor.store.records import Version
from daemon.supervisor.store.store import Store, StoreUnavailableError

_LONGEST_SLEEP = 30.0
"""Seconds between two looks at what is due: the clock may have been set meanwhile."""
_EXPIRY_SECONDS = 60.0
_MOST_FIGURES = 64
"""Of the progress of an attempt; of more, those go that were told longest ago."""
OWN_WORKERS = frozenset({"trainer", "evaluator", "server"})
"""Workers of this host: the supervisor sees their end, so they need no lease."""
_logger = log.get(__name__)


class Jobs:
    """Every job of one thord. Call `recover` before anything else, at last `close`.

    Args:
        store: where the rows are.
        settings: gives ``[jobs]`` as it is now.
        degradations: is told while the store cannot be written.
        host: the name of this host.

    Attributes:
        watch: tells what happens to jobs.
    """

    def __init__(
        self,
        store: Store,
        settings: Callable[[], JobSettings],
        degradations: Degradations,
        host: str | None = None,
    ) -> None:
        self.watch = JobWatch()
        self.host = host or socket.gethostname()
        self._store = store
        self._settings = settings
        self._degradations = degradations
        self._open = OpenAttempts()
        self._retries: dict[int, float] = {}
        self._recovered = False
        self._stirred = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None

    # What clients ask --------------------------------------------------------------------------------------------

    async def submit(self, asked: NewJob) -> tuple[Job, bool]:
        """Queue a job; the job, and whether it is new.

        Raises:
            IdempotencyConflictError: its idempotency key came with another request.
            RunExistsError: another job has this run ID.
            TooManyJobsError: so many have not ended that no more are taken.
            StoreUnavailableError: nothing was written.
        """
        self._check_recovered()
        job, is_new = await self._store.add_job(asked, self._settings().max_unfinished)
        if is_new:
            self.watch.changed(job)
        return job, is_new

    def _check_recovered(self) -> None:
        if not self._recovered:
            raise StoreUnavailableError("what the last run left is still being repaired; try again in a moment")

    async def cancel(self, number: int, by: str) -> Job:
        """Ask a job to end. Where nobody works on it, it has ended when this returns. A second cancel is no error.

        Raises:
            NoSuchRecordError: there is no such job.
            JobEndedError: it has ended already.
        """
        before = await self._store.job(number)
        job = await self._store.cancel_job(number, f"cancelled by {by}", self._settings().failure_ttl_seconds)
        self._retries.pop(number, None)
        if (attempt := self._open.of(number)) is not None:
            attempt.cancelling = True
        if job.state is not before.state:
            self.watch.changed(job)
        return job

    async def follow(self, number: int) -> AsyncIterator[dict[str, JsonValue]]:
        """The job, each state and each progress as it comes, at last the job as it ended.

        Raises:
            NoSuchRecordError: there is no such job.
        """
        with self.watch.followers.lines(number) as lines:
            job = await self._store.job(number)
            yield {"job": self.describe(job)}
            if not job.is_final:
                async for line in lines:
                    yield line

    async def wait(self, number: int, seconds: float) -> Job:
        """The job when it has ended, or as it is after ``seconds``.

        Raises:
            NoSuchRecordError: there is no such job.
        """
        with self.watch.followers.lines(number) as lines:  # from before the look at it, so that its end is not missed
            job = await self._store.job(number)
            if job.is_final or seconds <= 0:
                return job
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    async for _ in lines:
                        pass
        return await self._store.job(number)

    def describe(self, job: Job, attempts: list[Attempt] | None = None) -> dict[str, JsonValue]:
        """A job for clients, with its progress of the moment."""
        shown = job.to_json(attempts)
        attempt = self._open.of(job.id)
        if attempt is not None and attempt.progress is not None:
            shown["progress"] = dict(attempt.progress)
        return shown

    # What workers say --------------------------------------------------------------------------------------------

    async def claim(
        self,
        number: int,
        *,
        host: str,
        worker: str,
        pid: int | None,
        log_offset: int = 0,
    ) -> tuple[Job, Attempt]:
        """Begin with a job that is queued; nobody else can from now on. The arguments are those of the store.

        Raises:
            NoSuchRecordError: there is no such job.
            NotClaimableError: it is not queued.
            StoreUnavailableError: what the last run left is still being repaired.
        """
        self._check_recovered()  # else `recover` would take the attempt for one that the last run left
        job, attempt = await self._store.start_attempt(number, host=host, worker=worker, pid=pid, log_offset=log_offset)
        self._hold(job, attempt)
        self.watch.changed(job)
        return job, attempt

    async def beat(self, number: int, attempt: int, progress: Mapping[str, JsonValue] | None = None) -> bool:
        """Note that an attempt lives, and how far it came; whether its job was asked to end.

        Raises:
            StaleAttemptError: it is not the current attempt; whoever works on it must stop.
            StoreUnavailableError: which attempts are under way is not known yet.
        """
        self._check_recovered()  # else a run on another host would take a restart of thord for its end
        held = self._open.current(number, attempt)
        if not math.isinf(held.lease_ends):
            held.lease_ends = time.monotonic() + self._settings().lease_seconds
        if progress is not None:
            known = {name: value for name, value in (held.progress or {}).items() if name not in progress}
            held.progress = dict([*known.items(), *progress.items()][-_MOST_FIGURES:])
        if held.due_to_be_written():
            with contextlib.suppress(StoreUnavailableError):  # it is told all the same, and written next time
                await self._store.beat_attempt(number, attempt, held.progress)
        if progress is not None and held.progress is not None:
            self.watch.progressed(held.job, held.progress)
        return held.cancelling

    def is_done_here(self, number: int) -> bool:
        """Whether a worker of this host carries out a job now."""
        held = self._open.of(number)
        return held is not None and math.isinf(held.lease_ends)

    async def finish(self, number: int, attempt: int, report: Report, *, candidate: Version | None = None) -> Job:
        """End an attempt; the job as it is now: ended, or queued for another attempt.

        Raises:
            StaleAttemptError: it is not the current attempt, so nothing was written.
        """
        held = self._open.of(number)
        progress = held.progress if held is not None and held.number == attempt else None

        async def write() -> Job:
            if progress is not None:
                await self._store.beat_attempt(number, attempt, progress)
            job = await self._store.job(number)
            end = ending(job, report, self._settings(), time_of_day())
            return await self._store.end_attempt(number, attempt, end, candidate=candidate)

        job = await retry_until_stored(write, self._degradations)
        self._open.drop(number)
        self._note_retry(job)
        self.watch.changed(job)
        return job

    async def lost(self, worker: str, why: str, *, died: bool = True) -> None:
        """End the attempts that a worker of this host held: its process ended, and ``why`` says how.

        Where it was not ``died`` but somebody who stopped it, that does not count as a try.
        """
        report = Report("failed", "lost", why, retry=True) if died else Report("put_back", "stopped", why)
        for attempt in self._open:
            if attempt.worker == worker and attempt.host == self.host:
                await self._end(attempt, report)

    # Life --------------------------------------------------------------------------------------------------------

    async def recover(self) -> None:
        """Take up what a crash or a stop left. Call once at start.

        Attempts of this host's own workers are over, for these end with the supervisor; their jobs are queued again.
        Those on other hosts go on, and have a whole lease to say so.
        """
        for attempt in await retry_until_stored(self._store.open_attempts, self._degradations):
            job = await retry_until_stored(functools.partial(self._store.job, attempt.job), self._degradations)
            self._hold(job, attempt)
            if attempt.host == self.host and attempt.worker in OWN_WORKERS:
                held = self._open.current(attempt.job, attempt.number)
                await self._end(held, Report("put_back", "restart", "thord was started again"))
        for job in await retry_until_stored(self._store.unfinished_jobs, self._degradations):
            self._note_retry(job)
        self._recovered = True
        self._keeper = background.begin(self._keep(), "keeper of jobs", self._failed)

    async def close(self) -> None:
        """Stop watching over jobs; they stay as they are."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        self.watch.followers.close()

    # Keeping -----------------------------------------------------------------------------------------------------

    async def _keep(self) -> None:
        """Queue again what is due, give up what is overdue, remove what has expired."""
        expire_at = 0.0
        while True:
            self._stirred.clear()
            now = time.monotonic()
            for number, due in list(self._retries.items()):
                if due <= now:
                    del self._retries[number]
                    await self._queue_again(number)
            for attempt in self._open:
                if cause := attempt.overdue(now):
                    await self._give_up(attempt, cause)
            if now >= expire_at:
                expire_at = now + _EXPIRY_SECONDS
                with contextlib.suppress(StoreUnavailableError):  # next time
                    if removed := await self._store.remove_expired_jobs(utc_now()):
                        _logger.info("expired jobs removed", jobs=removed)
            await self._sleep_until(min(self._open.next_deadline(), expire_at, *self._retries.values()))

    async def _sleep_until(self, due: float) -> None:
        pause = min(max(due - time.monotonic(), 0.01), _LONGEST_SLEEP)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause):  # `wait_for` may lose a cancellation that comes with the event
                await self._stirred.wait()

    async def _queue_again(self, number: int) -> None:
        with contextlib.suppress(NoSuchRecordError):
            job = await retry_until_stored(lambda: self._store.queue_again(number), self._degradations)
            self.watch.changed(job)

    async def _give_up(self, attempt: OpenAttempt, cause: str) -> None:
        if cause == "lost":
            seconds = self._settings().lease_seconds
            why = f"{attempt.worker} on {attempt.host} gave no sign of life for {seconds:g} seconds"
            await self._end(attempt, Report("failed", "lost", why, retry=True))
            return
        await self._end(attempt, Report("failed", "time limit", "it took longer than its time limit"))

    async def _end(self, attempt: OpenAttempt, report: Report) -> None:
        try:
            await self.finish(attempt.job.id, attempt.number, report)
        except StaleAttemptError:  # it ended by itself, and is not to be found overdue again and again
            if self._open.of(attempt.job.id) is attempt:
                self._open.drop(attempt.job.id)

    def _hold(self, job: Job, attempt: Attempt) -> None:
        """Note an attempt that is under way."""
        now = time.monotonic()
        own = attempt.host == self.host and attempt.worker in OWN_WORKERS
        lasted = (time_of_day() - datetime.datetime.fromisoformat(attempt.started_at)).total_seconds()
        left = min(max(job.time_limit_seconds - lasted, 0.0), job.time_limit_seconds)
        self._open.add(
            OpenAttempt(
                job=job,
                number=attempt.number,
                worker=attempt.worker,
                host=attempt.host,
                lease_ends=math.inf if own else now + self._settings().lease_seconds,
                limit_ends=now + left,
                cancelling=job.state is JobState.CANCELLING,
            )
        )
        self._stirred.set()

    def _note_retry(self, job: Job) -> None:
        """Remember when a job is queued again: never later than its interval asks for, wherever the clock was set."""
        if job.state is not JobState.WAITING_RETRY or job.retry_at is None:
            return
        left = (datetime.datetime.fromisoformat(job.retry_at) - time_of_day()).total_seconds()
        self._retries[job.id] = time.monotonic() + min(max(left, 0.0), job.retry_interval_seconds)
        self._stirred.set()

    def _failed(self, error: BaseException) -> None:
        _logger.error("the keeper of jobs failed", exc_info=error)
        self._degradations.begin("jobs", f"an internal error stops jobs until thord is restarted: {error!r}")

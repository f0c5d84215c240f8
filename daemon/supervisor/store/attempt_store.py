"""The table of attempts at jobs; with each beginning and end its job moves along the table in `daemon.job`.

Whatever an attempt writes names it. Where it is not the current one, nothing is written (`StaleAttemptError`), so a
worker that was given up and still lives can do no harm.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from daemon.clock import utc_now
from daemon.job import UNDER_WAY, JobEvent, JobState, next_state
from daemon.supervisor.store.errors import NotClaimableError, StaleAttemptError
from daemon.supervisor.store.job_records import Attempt, Job
from daemon.supervisor.store.job_store import JobField, JobStore
from daemon.supervisor.store.records import Version


@dataclass(frozen=True)
class AttemptEnd:
    """How an attempt ends, and its job with it or not.

    Attributes:
        event: what happens to the job.
        cause: why the attempt ended, as in `Attempt`.
        error: a sentence for people; null: nothing went wrong.
        result: what the job came to.
        retry_at: when it is queued again, where it is.
        keep_seconds: how long a job that ended by this is kept.
        counts: it counts as one of the tries of the job.
    """

    event: JobEvent
    cause: str
    error: str | None = None
    result: Mapping[str, JsonValue] | None = None
    retry_at: str | None = None
    keep_seconds: float | None = None
    counts: bool = False


class AttemptStore(JobStore):
    """Reads and writes the table ``attempts``."""

    async def job_with_attempts(self, number: int) -> tuple[Job, list[Attempt]]:
        """One job, and its attempts from the first to the last.

        Raises:
            NoSuchRecordError: there is none of that number.
        """
        return await self._database.run(lambda: (self._job(number), self._attempts(number)))

    async def open_attempts(self) -> list[Attempt]:
        """Every attempt that has not ended."""
        query = "SELECT * FROM attempts WHERE ended_at IS NULL ORDER BY job"
        return await self._database.run(lambda: self._database.select(Attempt, query))

    async def start_attempt(
        self,
        number: int,
        *,
        host: str,
        worker: str,
        pid: int | None,
        log_offset: int = 0,
    ) -> tuple[Job, Attempt]:
        """Begin with a job that is queued.

        Args:
            number: the job.
            host: where the attempt runs.
            worker: who works on it.
            pid: its process, where known.
            log_offset: where its part of the log begins.

        Raises:
            NotClaimableError: it is not queued.
        """

        def start() -> tuple[Job, Attempt]:
            with self._transaction():
                job, now = self._job(number), utc_now()
                if job.state is not JobState.QUEUED:
                    raise NotClaimableError(f"job {number} is {job.state}, not queued")
                attempt = Attempt(
                    job=number,
                    number=job.attempt + 1,
                    host=host,
                    worker=worker,
                    pid=pid,
                    started_at=now,
                    last_beat_at=now,
                    log_offset=log_offset,
                )
                self._database.put("attempts", "job, number", attempt)
                job = self._move_job(
                    job,
                    JobEvent.START,
                    attempt=attempt.number,
                    started_at=job.started_at or now,
                    retry_at=None,
                    log_offset=log_offset,
                )
                return job, attempt

        return await self._database.run(start)

    async def beat_attempt(self, number: int, attempt: int, progress: Mapping[str, JsonValue] | None) -> Job:
        """Write down that an attempt lives, and how far it came.

        Raises:
            StaleAttemptError: it is not the current attempt.
        """

        def beat() -> Job:
            with self._transaction():
                job = self._current(number, attempt)
                self._database.execute(
                    "UPDATE attempts SET last_beat_at = ? WHERE job = ? AND number = ?", utc_now(), number, attempt
                )
                if progress is None:
                    return job
                job = job.model_copy(update={"progress": dict(progress)})
                self._database.put("jobs", "id", job)
                found = self._attempt(number, attempt)
                self._database.put("attempts", "job, number", found.model_copy(update={"progress": dict(progress)}))
                return job

        return await self._database.run(beat)

    async def set_attempt_pid(self, number: int, attempt: int, pid: int) -> None:
        """Write down which process works on an attempt.

        Raises:
            StaleAttemptError: it is not the current attempt.
        """

        def note() -> None:
            with self._transaction():
                self._current(number, attempt)
                self._database.execute("UPDATE attempts SET pid = ? WHERE job = ? AND number = ?", pid, number, attempt)

        await self._database.run(note)

    async def end_attempt(self, number: int, attempt: int, end: AttemptEnd, *, candidate: Version | None = None) -> Job:
        """End the current attempt, and move its job along the table; ``candidate`` is the version it published.

        Raises:
            StaleAttemptError: it is not the current attempt.
        """

        def finish() -> Job:
            with self._transaction():
                job = self._current(number, attempt)
                now = utc_now()
                self._database.execute(
                    "UPDATE attempts SET ended_at = ?, cause = ? WHERE job = ? AND number = ?",
                    now,
                    end.cause,
                    number,
                    attempt,
                )
                if candidate is not None:
                    self._database.put("versions", "number", candidate)
                fields: dict[str, JobField] = {"tries": job.tries + (1 if end.counts else 0)}
                if end.result is not None:
                    fields["result"] = dict(end.result)
                after = next_state(job.state, end.event)
                if after is not JobState.CANCELLED or job.error is None:  # else it says who cancelled it
                    fields["error"] = end.error
                if after is JobState.WAITING_RETRY:
                    fields["retry_at"] = end.retry_at
                return self._move_job(job, end.event, keep_seconds=end.keep_seconds, cause=end.cause, **fields)

        return await self._database.run(finish)

    # In the thread -----------------------------------------------------------------------------------------------

    def _attempts(self, number: int) -> list[Attempt]:
        return self._database.select(Attempt, "SELECT * FROM attempts WHERE job = ? ORDER BY number", number)

    def _attempt(self, job: int, number: int) -> Attempt:
        return self._database.select(Attempt, "SELECT * FROM attempts WHERE job = ? AND number = ?", job, number)[0]

    def _current(self, number: int, attempt: int) -> Job:
        """The job, whose current attempt this must be."""
        job = self._job(number)
        if job.attempt != attempt or job.state not in UNDER_WAY:
            raise StaleAttemptError(
                f"attempt {attempt} is not under way: job {number} is {job.state}, its last attempt is {job.attempt}"
            )
        return job

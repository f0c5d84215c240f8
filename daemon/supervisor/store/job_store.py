"""The table of jobs: each is moved along the table in `daemon.job`, with new values for its columns."""

import datetime
from collections.abc import Mapping, Sequence

from pydantic import JsonValue

from daemon.clock import time_of_day, utc_now
from daemon.job import FINAL, JobEvent, JobKind, JobState, next_state
from daemon.supervisor.store.cycle_store import CycleStore
from daemon.supervisor.store.database import to_row
from daemon.supervisor.store.errors import (
    IdempotencyConflictError,
    JobEndedError,
    NoSuchRecordError,
    RunExistsError,
    TooManyJobsError,
)
from daemon.supervisor.store.job_records import NAMING, Job, NewJob
from daemon.supervisor.store.records import name_or_null

JobField = int | float | str | None | Mapping[str, JsonValue]
"""A value for one column of a job."""

_EVENT_TYPES = {
    JobState.QUEUED: "job.queued",
    JobState.RUNNING: "job.started",
    JobState.WAITING_RETRY: "job.retrying",
    JobState.CANCELLING: "job.cancelling",
    JobState.COMPLETED: "job.completed",
    JobState.FAILED: "job.failed",
    JobState.CANCELLED: "job.cancelled",
}


class JobStore(CycleStore):
    """Reads and writes the table ``jobs``."""

    async def add_job(self, asked: NewJob, most: int | None = None) -> tuple[Job, bool]:
        """Queue a job; the job, and whether it is new. The same request under the same key gives the same job.

        Raises:
            IdempotencyConflictError: the key came with another request.
            RunExistsError: another job has this run ID.
            TooManyJobsError: ``most`` jobs have not ended.
            StoreUnavailableError: nothing was written.
        """

        def add() -> tuple[Job, bool]:
            with self._transaction():
                if (known := self._job_of_key(asked)) is not None:
                    if known.fingerprint != asked.fingerprint:
                        raise IdempotencyConflictError(asked.idempotency_key or "", known.id)
                    return known, False
                unfinished = "SELECT count(*) FROM jobs WHERE ended_at IS NULL"
                if most is not None and int(self._database.scalar(unfinished) or 0) >= most:
                    raise TooManyJobsError(most)
                if asked.kind in NAMING and asked.run_id is not None:
                    self._check_free(asked.kind, asked.run_id)
                row = to_row(Job(**asked.model_dump(), id=0, created_at=utc_now()))
                del row["id"]
                number = self._database.insert("jobs", row)
                if asked.kind in NAMING and asked.run_id is None:
                    name = self._free_name(asked.kind, number)
                    self._database.execute("UPDATE jobs SET run_id = ? WHERE id = ?", name, number)
                job = self._job(number)
                self._tell(job)
                return job, True

        return await self._database.run(add)

    async def skip_job_numbers(self, highest: int) -> None:
        """Give no number again that a job had which is not known here, because what it left on disk is there yet."""

        def skip() -> None:
            last = int(self._database.scalar("SELECT seq FROM sqlite_sequence WHERE name = 'jobs'") or 0)
            if last >= highest:
                return
            with self._transaction():
                self._database.execute("DELETE FROM sqlite_sequence WHERE name = 'jobs'")
                self._database.execute("INSERT INTO sqlite_sequence VALUES ('jobs', ?)", highest)

        await self._database.run(skip)

    async def job(self, number: int) -> Job:
        """Read one job.

        Raises:
            NoSuchRecordError: there is none of that number.
        """
        return await self._database.run(lambda: self._job(number))

    async def jobs(
        self,
        limit: int,
        *,
        kind: str | None = None,
        state: str | None = None,
        run_id: str | None = None,
        owner: str | None = None,
        before: int | None = None,
    ) -> list[Job]:
        """The newest jobs of that kind, state, run and owner, newest first; ``before``: those of smaller numbers."""
        wanted = {"kind =": kind, "state =": state, "run_id =": run_id, "owner =": owner, "id <": before}
        given = {name: value for name, value in wanted.items() if value is not None}
        where = " AND ".join(f"{name} ?" for name in given) or "1"
        query = f"SELECT * FROM jobs WHERE {where} ORDER BY id DESC LIMIT ?"  # noqa: S608 — our own names
        return await self._database.run(lambda: self._database.select(Job, query, *given.values(), limit))

    async def job_of_run(self, kind: JobKind, run_id: str) -> Job:
        """The newest job of that kind that is about this run.

        Raises:
            NoSuchRecordError: there is none.
        """
        found = await self.jobs(1, kind=kind, run_id=run_id)
        if not found:
            raise NoSuchRecordError(f"there is no job '{kind}' of run {run_id}")
        return found[0]

    async def unfinished_jobs(self) -> list[Job]:
        """Every job that has not ended, oldest first."""
        query = "SELECT * FROM jobs WHERE ended_at IS NULL ORDER BY id"
        return await self._database.run(lambda: self._database.select(Job, query))

    async def next_job(self, kinds: Sequence[JobKind]) -> Job | None:
        """The queued job of these kinds to begin with: of the highest priority the oldest; null where there is none."""
        marks = ", ".join("?" * len(kinds))
        query = (
            f"SELECT * FROM jobs WHERE ended_at IS NULL AND state = 'queued' AND kind IN ({marks})"  # noqa: S608
            " ORDER BY priority DESC, id LIMIT 1"
        )
        found = await self._database.run(lambda: self._database.select(Job, query, *kinds))
        return found[0] if found else None

    async def assign_version(self, number: int, highest_on_disk: int) -> Job:
        """Give a job the number of the version it will publish; it keeps the one it has."""

        def assign() -> Job:
            with self._transaction():
                job = self._job(number)
                if job.version is None:
                    job = job.model_copy(update={"version": self._next_version(highest_on_disk)})
                    self._database.put("jobs", "id", job)
                return job

        return await self._database.run(assign)

    async def cancel_job(self, number: int, why: str, keep_seconds: float | None = None) -> Job:
        """Ask a job to end: at once where nobody works on it, else it is ``cancelling`` until its work has ended.

        Raises:
            NoSuchRecordError: there is none of that number.
            JobEndedError: it has ended already.
        """

        def cancel() -> Job:
            with self._transaction():
                job = self._job(number)
                if job.is_final:
                    raise JobEndedError(f"job {number} is {job.state} already")
                if job.state is JobState.CANCELLING:
                    return job
                return self._move_job(job, JobEvent.CANCEL, keep_seconds=keep_seconds, error=why, retry_at=None)

        return await self._database.run(cancel)

    async def queue_again(self, number: int) -> Job:
        """Queue a job whose time of another attempt has come; one that is not waiting for that stays as it is."""

        def queue() -> Job:
            with self._transaction():
                job = self._job(number)
                if job.state is not JobState.WAITING_RETRY:
                    return job
                return self._move_job(job, JobEvent.DUE, retry_at=None)

        return await self._database.run(queue)

    async def remove_expired_jobs(self, now: str) -> int:
        """Remove the rows of jobs whose time to live is over, with their results and events; how many."""

        def remove() -> int:
            found = int(self._database.scalar("SELECT count(*) FROM jobs WHERE expires_at <= ?", now) or 0)
            if found:
                with self._transaction():
                    expired = "SELECT id FROM jobs WHERE expires_at <= ?"
                    self._database.execute(f"DELETE FROM attempts WHERE job IN ({expired})", now)  # noqa: S608
                    of_them = f"type >= 'job.' AND type < 'job/' AND json_extract(data, '$.job') IN ({expired})"
                    self._database.execute(f"DELETE FROM events WHERE {of_them}", now)  # noqa: S608
                    self._database.execute("DELETE FROM jobs WHERE expires_at <= ?", now)
            return found

        return await self._database.run(remove)

    # In the thread -----------------------------------------------------------------------------------------------

    def _job(self, number: int) -> Job:
        found = self._database.select(Job, "SELECT * FROM jobs WHERE id = ?", number)
        if not found:
            raise NoSuchRecordError(f"there is no job {number}")
        return found[0]

    def _move_job(
        self,
        before: Job,
        event: JobEvent,
        *,
        keep_seconds: float | None = None,
        cause: str | None = None,
        **fields: JobField,
    ) -> Job:
        state = next_state(before.state, event)
        derived: dict[str, JobField] = {"state": state}
        if state in FINAL:
            now = time_of_day()
            derived["ended_at"] = utc_now()
            if keep_seconds is not None and before.kind not in NAMING:  # the record of a run stays
                derived["expires_at"] = _written(now + datetime.timedelta(seconds=keep_seconds))
        job = Job.model_validate({**before.model_dump(), **derived, **fields})
        self._database.put("jobs", "id", job)
        self._tell(job, cause)
        return job

    def _tell(self, job: Job, cause: str | None = None) -> None:
        """Append the event of the state that a job is in."""
        data: dict[str, JsonValue] = {"job": job.id, "kind": job.kind.value, "run_id": job.run_id}
        data |= {"user_id": job.user_id, "queue": job.queue, "attempt": job.attempt}
        more: dict[str, JsonValue] = {"cause": cause, "error": job.error, "retry_at": job.retry_at}
        if job.state is JobState.COMPLETED:
            more |= {"version": name_or_null(job.version)}
        self._append(_EVENT_TYPES[job.state], {**data, **{name: value for name, value in more.items() if value}})

    def _job_of_key(self, asked: NewJob) -> Job | None:
        if asked.idempotency_key is None:
            return None
        query = "SELECT * FROM jobs WHERE owner = ? AND idempotency_key = ?"
        found = self._database.select(Job, query, asked.owner, asked.idempotency_key)
        return found[0] if found else None

    def _check_free(self, kind: JobKind, run_id: str) -> None:
        taken = self._database.scalar("SELECT id FROM jobs WHERE kind = ? AND run_id = ?", kind, run_id)
        if taken is not None:
            raise RunExistsError(run_id, int(taken))

    def _free_name(self, kind: JobKind, number: int) -> str:
        """``run-000012``, or that with a further part where somebody chose just this name."""
        base = f"{'run' if kind is JobKind.TRAIN else kind.value}-{number:06d}"
        name, turn = base, 1
        while self._database.scalar("SELECT id FROM jobs WHERE kind = ? AND run_id = ?", kind, name) is not None:
            turn += 1
            name = f"{base}-{turn}"
        return name


def _written(at: datetime.datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")

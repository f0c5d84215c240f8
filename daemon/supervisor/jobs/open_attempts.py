"""The attempts that are under way, in memory: who holds them, and when they are given up.

Times are counted by a clock that nobody sets. The store has all of this but for the leases, which begin anew when the
supervisor is started again.
"""

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from daemon.supervisor.store.errors import StaleAttemptError
from daemon.supervisor.store.job_records import Job

WRITE_SECONDS = 5.0
"""At most this often is the progress of an attempt written down."""


@dataclass
class OpenAttempt:
    """One attempt under way.

    Attributes:
        job: its job, as it was when the attempt began.
        number: its own.
        worker: who works on it.
        host: where.
        lease_ends: when it is lost, if it does not show a sign of life before.
        limit_ends: when its time limit is over.
        cancelling: its job was asked to end.
        progress: how far it came.
        written_at: when that was written down last.
    """

    job: Job
    number: int
    worker: str
    host: str
    lease_ends: float = math.inf
    limit_ends: float = math.inf
    cancelling: bool = False
    progress: Mapping[str, JsonValue] | None = None
    written_at: float = -math.inf

    def overdue(self, now: float) -> str | None:
        """Why it is to be given up: ``time limit``, ``lost``; null: it is not."""
        if now >= self.limit_ends:
            return "time limit"
        return "lost" if now >= self.lease_ends else None

    def due_to_be_written(self) -> bool:
        """Whether its progress is to be written down now; if so, it counts as written."""
        now = time.monotonic()
        if now - self.written_at < WRITE_SECONDS:
            return False
        self.written_at = now
        return True


class OpenAttempts:
    """All of them, one a job."""

    def __init__(self) -> None:
        self._open: dict[int, OpenAttempt] = {}

    def __iter__(self) -> Iterator[OpenAttempt]:
        return iter(list(self._open.values()))

    def add(self, attempt: OpenAttempt) -> None:
        """Note that an attempt has begun."""
        self._open[attempt.job.id] = attempt

    def of(self, job: int) -> OpenAttempt | None:
        """The attempt at a job that is under way, or null."""
        return self._open.get(job)

    def current(self, job: int, number: int) -> OpenAttempt:
        """That attempt.

        Raises:
            StaleAttemptError: it is not under way.
        """
        found = self._open.get(job)
        if found is None or found.number != number:
            raise StaleAttemptError(f"attempt {number} of job {job} is not under way: it was given up, or has ended")
        return found

    def drop(self, job: int) -> None:
        """Note that the attempt at a job has ended."""
        self._open.pop(job, None)

    def next_deadline(self) -> float:
        """When the first of them is overdue, by the clock that nobody sets; infinity: never."""
        return min((min(one.lease_ends, one.limit_ends) for one in self._open.values()), default=math.inf)

"""What the store has to say of a record that is asked for or changed."""

from control.paths import version_name
from daemon.supervisor.store.records import Version


class NoSuchRecordError(LookupError):
    """There is no such cycle, version or job."""


class PurgedError(Exception):
    """The weights of the version were removed; its record stays."""

    def __init__(self, version: Version) -> None:
        super().__init__(
            f"the weights of version {version_name(version.number)} were removed at {version.purged_at}: "
            f"{version.purged_why}; its record stays"
        )


class CycleUnderWayError(Exception):
    """Another cycle is under way; cycles run one at a time."""

    def __init__(self, cycle: int) -> None:
        super().__init__(f"cycle {cycle} is under way; wait for it or cancel it")
        self.cycle = cycle


class RunExistsError(Exception):
    """Another job has this run ID."""

    def __init__(self, run_id: str, job: int) -> None:
        super().__init__(f"run {run_id} exists: it is job {job}; choose another run_id")
        self.job = job


class TooManyJobsError(Exception):
    """So many jobs have not ended that no other is taken."""

    def __init__(self, most: int) -> None:
        super().__init__(f"{most} jobs have not ended, and no more are taken (jobs.max_unfinished); try again later")


class IdempotencyConflictError(Exception):
    """The same idempotency key came with another request."""

    def __init__(self, key: str, job: int) -> None:
        super().__init__(f"the idempotency key {key!r} belongs to job {job}, which was asked for with another body")
        self.job = job


class StaleAttemptError(Exception):
    """The attempt is not the current one of its job, so what it says does not count."""


class JobEndedError(Exception):
    """The job has ended already."""


class NotClaimableError(Exception):
    """The job is not queued, so nobody can begin with it."""

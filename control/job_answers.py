"""Jobs as thord answers with them and ``thorctl --json`` prints them. Names are stable; more may be added."""

from typing import NotRequired, TypedDict

from control.answers import Json


class Attempt(TypedDict):
    """One try at a job. ``cause`` says why it ended; null while it is under way."""

    number: int
    host: str
    worker: str
    pid: int | None
    started_at: str
    last_beat_at: str
    progress: dict[str, Json] | None
    ended_at: str | None
    cause: str | None
    log_offset: int


class Job(TypedDict):
    """One unit of work that somebody asked for. ``attempts`` are there where a single job was asked for."""

    id: int
    kind: str
    run_id: str | None
    state: str
    priority: int
    queue: str
    user_id: int | None
    owner: str
    promote: str
    request: dict[str, Json]
    result: dict[str, Json] | None
    error: str | None
    version: str | None
    attempt: int
    attempts: NotRequired[list[Attempt]]
    retries: int
    retry_interval_seconds: float
    retry_at: str | None
    time_limit_seconds: float
    idempotency_key: str | None
    progress: dict[str, Json] | None
    log_offset: int
    created_at: str
    started_at: str | None
    ended_at: str | None
    expires_at: str | None


class NewJob(TypedDict, total=False):
    """What a job may be asked for besides its kind; what is left out is as ``[jobs]`` says."""

    run_id: str
    request: dict[str, Json]
    promote: str
    priority: int
    queue: str
    user_id: int | None
    owner: str
    retries: int
    retry_interval_seconds: float
    time_limit_seconds: float
    idempotency_key: str


class Claimed(TypedDict):
    """A job that the caller works on from now on, and the number of the attempt, which each report names."""

    job: Job
    attempt: int


class Beaten(TypedDict):
    """Whether the job was asked to end."""

    cancel: bool


class JobNews(TypedDict, total=False):
    """One line of a job that is followed: the job in a new state, or how far it came."""

    job: Job
    progress: dict[str, Json]


FINAL = frozenset({"completed", "failed", "cancelled"})
"""States in which a job has ended."""

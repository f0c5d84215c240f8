"""The rows of jobs and of their attempts, as the rest of the supervisor and its clients see them."""

from typing import Literal

from pydantic import Field, JsonValue

from daemon.job import FINAL, JobKind, JobState
from daemon.supervisor.store.records import Record, name_or_null

Promote = Literal["never", "gate", "force"]
"""Whether the version of a run is put into service: never, where the gate finds it better, or in any case."""

NAMING = frozenset({JobKind.TRAIN, JobKind.TOKENIZER})
"""Kinds of job that make what their ``run_id`` names; others only refer to it."""


class NewJob(Record):
    """What is asked for; fields as in `Job`.

    Attributes:
        run_id: of a train job the name of the run, of a tokenizer job that of the tokenizer; null: one is chosen. Of
            others the run they are about.
        fingerprint: SHA-256 of the whole request, to tell a repeated one from another under the same key.
    """

    kind: JobKind
    run_id: str | None = None
    request: dict[str, JsonValue] = Field(default_factory=dict)
    promote: Promote = "never"
    priority: int = 0
    queue: str = "trainer"
    user_id: int | None = None
    owner: str
    retries: int
    retry_interval_seconds: float
    time_limit_seconds: float
    idempotency_key: str | None = None
    fingerprint: str = ""


class Attempt(Record):
    """One try at a job.

    Attributes:
        worker: who works on it: ``trainer``, ``evaluator``, ``server``, or a worker on another host.
        progress: how far it came.
        cause: why it ended: ``completed``, ``raised``, ``exit N``, ``signal N``, ``out of memory``, ``time limit``,
            ``lost``, ``stopped``, ``restart``, ``cancelled``.
        log_offset: where its part of the log begins, in bytes.
    """

    job: int
    number: int
    host: str
    worker: str
    pid: int | None = None
    started_at: str
    last_beat_at: str
    progress: dict[str, JsonValue] | None = None
    ended_at: str | None = None
    cause: str | None = None
    log_offset: int = 0

    def to_json(self) -> dict[str, JsonValue]:
        """The attempt as clients see it."""
        return self.model_dump(mode="json", exclude={"job"})


class Job(NewJob):
    """A unit of work that somebody asked for. Its row is its only truth.

    Attributes:
        result: what it came to; null until it is completed, and after its time to live.
        error: a sentence for people: why it failed, or who cancelled it.
        version: the number of the version it publishes.
        attempt: the number of the last attempt; 0: none has begun.
        tries: how many attempts failed, those that were cut short by no fault of their own left out.
        retry_at: when it is queued again.
        log_offset: where the part of the log that its last attempt wrote begins, in bytes.
        expires_at: when it may be removed.
    """

    id: int
    state: JobState = JobState.QUEUED
    result: dict[str, JsonValue] | None = None
    error: str | None = None
    version: int | None = None
    attempt: int = 0
    tries: int = 0
    retry_at: str | None = None
    progress: dict[str, JsonValue] | None = None
    log_offset: int = 0
    created_at: str
    started_at: str | None = None
    ended_at: str | None = None
    expires_at: str | None = None

    @property
    def is_final(self) -> bool:
        """Whether it has ended, so that nothing will happen to it any more."""
        return self.state in FINAL

    def to_json(self, attempts: list[Attempt] | None = None) -> dict[str, JsonValue]:
        """The job as clients see it, with its attempts where given."""
        shown: dict[str, JsonValue] = self.model_dump(mode="json", exclude={"fingerprint", "tries"})
        shown["version"] = name_or_null(self.version)
        if attempts is not None:
            shown["attempts"] = [attempt.to_json() for attempt in attempts]
        return shown

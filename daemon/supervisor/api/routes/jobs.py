"""Jobs: submit, look, follow, cancel; and for whoever works on one: claim, beat, finish."""

import hashlib
import json
import re
from typing import Literal

from pydantic import Field
from starlette.responses import JSONResponse, Response

from daemon.job import ANSWERS, JobKind, JobState
from daemon.settings.jobs import JobSettings
from daemon.supervisor.api.errors import ControlError
from daemon.supervisor.api.ndjson import NdjsonResponse
from daemon.supervisor.api.operations import NUMBERS_END, Body, Call, JsonObject, Operation, check_files
from daemon.supervisor.api.permissions import Access
from daemon.supervisor.jobs.endings import Report
from daemon.supervisor.jobs.requests import RUN_ID, check
from daemon.supervisor.store.job_records import NewJob, Promote

_LONGEST_WAIT = 60
_SOON_SECONDS = 1.0


class JobBody(Body):
    """A job. What ``request`` holds depends on the kind; what is left out is as ``[jobs]`` says.

    ``idempotency_key``: the same body under the same key gives the same job.
    """

    kind: JobKind
    run_id: str | None = Field(None, pattern=RUN_ID)
    request: JsonObject = Field(default_factory=dict)
    promote: Promote = "never"
    priority: int = Field(0, ge=-1_000_000, le=1_000_000)
    queue: str | None = Field(None, min_length=1, max_length=128)
    user_id: int | None = Field(None, gt=-NUMBERS_END, lt=NUMBERS_END)
    owner: str | None = Field(None, max_length=128)
    retries: int | None = Field(None, ge=0, le=1000)
    retry_interval_seconds: float | None = Field(None, ge=0, le=31_536_000)
    time_limit_seconds: float | None = Field(None, gt=0, le=31_536_000)
    idempotency_key: str | None = Field(None, min_length=1, max_length=255)


class ClaimBody(Body):
    """Who begins with the job."""

    host: str = Field(min_length=1, max_length=255)
    worker: str = Field(min_length=1, max_length=255)
    pid: int | None = Field(None, ge=0, lt=NUMBERS_END)


class BeatBody(Body):
    """A sign of life of an attempt, with what is new about its progress."""

    attempt: int = Field(ge=0, lt=NUMBERS_END)
    progress: JsonObject | None = None


class FinishBody(Body):
    """How an attempt ended. ``retry``: it failed, and another attempt may help."""

    attempt: int = Field(ge=0, lt=NUMBERS_END)
    state: Literal["completed", "failed", "cancelled"]
    cause: str = Field(min_length=1, max_length=64)
    result: JsonObject | None = None
    error: str | None = None
    retry: bool = False


async def submit(call: Call) -> Response:
    """202 with the job; 200 where the same body came before under its idempotency key."""
    body = await call.body(JobBody)
    if not call.is_admin and (body.promote == "force" or body.owner is not None):
        raise ControlError(403, "not_permitted", f"uid {call.peer.uid} may set neither promote to 'force' nor owner")
    tables = call.context.service.tables
    settings = tables.jobs
    check_files(check(body.kind, body.request, tables))
    asked = NewJob(
        kind=body.kind,
        run_id=_run_id(body),
        request=body.request,
        promote=body.promote,
        priority=body.priority,
        queue=body.queue or settings.queue,
        user_id=body.user_id,
        owner=body.owner or call.by,
        retries=settings.retries if body.retries is None else body.retries,
        retry_interval_seconds=_retry_interval(body, settings),
        time_limit_seconds=body.time_limit_seconds or settings.time_limit_seconds,
        idempotency_key=body.idempotency_key,
        fingerprint=_fingerprint(body),
    )
    job, is_new = await call.context.learning.jobs.submit(asked)
    return JSONResponse(call.context.learning.jobs.describe(job), 202 if is_new else 200)


async def jobs(call: Call) -> Response:
    """Lists the newest jobs first."""
    asked = call.request.query_params
    kind = _one_of("kind", asked.get("kind"), JobKind)
    state = _one_of("state", asked.get("state"), JobState)
    before = call.option("before", NUMBERS_END)
    found = await call.context.learning.store.jobs(
        call.limit(50), kind=kind, state=state, run_id=asked.get("run_id"), owner=asked.get("owner"), before=before
    )
    return JSONResponse([call.context.learning.jobs.describe(job) for job in found])


async def job(call: Call) -> Response:
    """One, with its attempts; with ``wait`` when it has ended, or after so many seconds."""
    number, jobs = call.number("id"), call.context.learning.jobs
    if wait := min(call.option("wait", 0), _LONGEST_WAIT):
        await jobs.wait(number, wait)
    found, attempts = await call.context.learning.store.job_with_attempts(number)
    return JSONResponse(jobs.describe(found, attempts))


async def cancel(call: Call) -> Response:
    """202 with the job, which has ended or is ``cancelling``; a second time the same."""
    number = call.number("id")
    if not call.is_admin and (await call.context.learning.store.job(number)).owner != call.by:
        raise ControlError(403, "not_permitted", f"job {number} is not yours; ask root or thord's own user")
    job = await call.context.learning.jobs.cancel(number, call.by)
    return JSONResponse(call.context.learning.jobs.describe(job), 202)


async def follow(call: Call) -> Response:
    """One JSON object a line: ``job`` at first and in each new state, ``progress`` as it comes."""
    number = call.number("id")
    await call.context.learning.store.job(number)  # 404 while that can still be said
    return NdjsonResponse(call.context.learning.jobs.follow(number))


async def claim(call: Call) -> Response:
    """Begin an attempt; 409 where the job is not queued."""
    number, body = call.number("id"), await call.body(ClaimBody)
    job, attempt = await call.context.learning.jobs.claim(number, host=body.host, worker=body.worker, pid=body.pid)
    return JSONResponse({"job": call.context.learning.jobs.describe(job), "attempt": attempt.number})


async def beat(call: Call) -> Response:
    """Says whether the job was asked to end; 409 where the attempt is not the current one: stop at once."""
    number, body = call.number("id"), await call.body(BeatBody)
    return JSONResponse({"cancel": await call.context.learning.jobs.beat(number, body.attempt, body.progress)})


async def finish(call: Call) -> Response:
    """The job as it is now; 409 where the attempt is not the current one: nothing was written."""
    number, body = call.number("id"), await call.body(FinishBody)
    report = Report(body.state, body.cause, body.error, body.result, retry=body.retry)
    job = await call.context.learning.jobs.finish(number, body.attempt, report)
    return JSONResponse(call.context.learning.jobs.describe(job))


def _retry_interval(body: JobBody, settings: JobSettings) -> float:
    """What is asked for, else what the settings say; an answer that somebody waits for is tried again at once."""
    if body.retry_interval_seconds is not None:
        return body.retry_interval_seconds
    return (
        min(_SOON_SECONDS, settings.retry_interval_seconds) if body.kind in ANSWERS else settings.retry_interval_seconds
    )


def _run_id(body: JobBody) -> str | None:
    """The name that is asked for; of a tokenizer also under the key ``tokenizer_id`` of its request."""
    name = body.request.get("tokenizer_id") if body.kind is JobKind.TOKENIZER and body.run_id is None else body.run_id
    if name is not None and not re.fullmatch(RUN_ID, str(name)):
        raise ControlError(422, "bad_request", f"{str(name)[:200]!r} is not a name of a run or a tokenizer")
    return None if name is None else str(name)


def _fingerprint(body: JobBody) -> str:
    """SHA-256 of what is asked for, whatever the order of its keys."""
    asked = body.model_dump(mode="json", exclude={"idempotency_key"}, exclude_unset=True)
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def _one_of(name: str, value: str | None, kind: type[JobKind] | type[JobState]) -> str | None:
    if value is not None and value not in list(kind):
        raise ControlError(400, "bad_request", f"{name} must be one of {', '.join(kind)}")
    return value


OPERATIONS = (
    Operation("POST", "/v1/jobs", Access.WORK, "Submit a job", submit, JobBody),
    Operation(
        "GET",
        "/v1/jobs",
        Access.READ,
        "Jobs, newest first",
        jobs,
        query={
            "kind": "only jobs of this kind",
            "state": "only jobs in this state",
            "run_id": "only jobs about this run",
            "owner": "only jobs that this one asked for",
            "before": "only jobs of smaller numbers",
            "limit": "how many",
        },
    ),
    Operation(
        "GET", "/v1/jobs/{id}", Access.READ, "One job, with its attempts", job, query={"wait": "seconds, at most 60"}
    ),
    Operation("POST", "/v1/jobs/{id}/cancel", Access.WORK, "Ask a job to end", cancel),
    Operation("GET", "/v1/jobs/{id}/follow", Access.READ, "Progress of a job, to its end", follow),
    Operation("POST", "/v1/jobs/{id}/claim", Access.ADMIN, "Begin an attempt at a job", claim, ClaimBody),
    Operation("POST", "/v1/jobs/{id}/beat", Access.ADMIN, "Show that an attempt lives", beat, BeatBody),
    Operation("POST", "/v1/jobs/{id}/finish", Access.ADMIN, "End an attempt at a job", finish, FinishBody),
)

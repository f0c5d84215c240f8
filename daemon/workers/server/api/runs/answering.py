"""What the routes of runs share: how jobs are asked for and waited for, and the HTTP around their answers."""

from typing import Annotated

from fastapi import Path, Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from control.answers import Json
from control.job_answers import FINAL, Job, NewJob
from daemon.workers.server.api.request_body import RequestBody
from daemon.workers.server.api.runs.bodies import AskedOfRun
from daemon.workers.server.api.runs.runs import LONGEST_WAIT
from daemon.workers.server.api.runs.schemas import JobBody

RunId = Annotated[str, Path(description="What the run is called.", max_length=128)]
Wait = Annotated[
    float, Query(ge=0, description=f"Seconds to wait for the end before the answer; {LONGEST_WAIT:.0f} at most.")
]
_ABOUT = frozenset(
    {"user_id", "queue", "priority", "retries", "retry_interval_seconds", "time_limit_seconds", "promote", "run_id"}
)
"""Fields that say how a job is carried out, and not what it does."""


def asked_of(body: JobBody | AskedOfRun) -> NewJob:
    """How a job is to be carried out."""
    asked: NewJob = {}
    if body.user_id is not None:
        asked["user_id"] = body.user_id
    if body.queue is not None:
        asked["queue"] = body.queue
    if body.priority is not None:
        asked["priority"] = body.priority
    if isinstance(body, AskedOfRun):  # only the end of this server ends such an attempt: the next one takes it up
        return {**asked, "retries": 8, "retry_interval_seconds": 1}
    if body.retries is not None:
        asked["retries"] = body.retries
    if body.retry_interval_seconds is not None:
        asked["retry_interval_seconds"] = body.retry_interval_seconds
    if body.time_limit_seconds is not None:
        asked["time_limit_seconds"] = body.time_limit_seconds
    return asked


def request_of(body: RequestBody) -> dict[str, Json]:
    """What a job is to do: the fields of its body that were sent and are known."""
    known = set(type(body).model_fields) - _ABOUT
    found: dict[str, Json] = body.model_dump(mode="json", include=known, exclude_none=True)
    return found


def accepted(job: Job, answer: BaseModel, location: str, *, seconds: int = 1) -> JSONResponse:
    """The answer to a request for a job: 202 and when to look again, or 200 where it has ended already."""
    if job["state"] in FINAL:
        return JSONResponse(answer.model_dump(mode="json"), 200)
    headers = {"retry-after": str(seconds), "location": location}
    return JSONResponse(answer.model_dump(mode="json"), 202, headers)


def found(answer: BaseModel) -> JSONResponse:
    """The answer to a look."""
    return JSONResponse(answer.model_dump(mode="json"))

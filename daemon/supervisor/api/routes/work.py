"""Attempts on other hosts: the server passes on what these ask for and say."""

from pydantic import Field
from starlette.responses import JSONResponse, Response

from daemon.supervisor.api.errors import ControlError
from daemon.supervisor.api.operations import NUMBERS_END, Body, Call, JsonObject, Operation
from daemon.supervisor.api.permissions import Access
from daemon.supervisor.remote.placing import BadDeliveryError
from daemon.supervisor.remote.work import Delivery, Finished


class WorkClaimBody(Body):
    """A host asks for an attempt that it was offered."""

    attempt: int = Field(ge=1, lt=NUMBERS_END)
    host: str = Field(min_length=1, max_length=255)
    worker: str = Field(min_length=1, max_length=255)
    pid: int = Field(ge=0, lt=NUMBERS_END)


class WorkBeatBody(Body):
    """A sign of life of an attempt on another host, with what is new about its progress."""

    attempt: int = Field(ge=1, lt=NUMBERS_END)
    progress: JsonObject | None = None


class DeliverBody(Delivery, Body):
    """Files of the run that the host has put into ``incoming/``."""


class FinishWorkBody(Finished, Body):
    """How an attempt on another host ended."""

    progress: JsonObject | None = None


async def claim(call: Call) -> Response:
    """The attempt, with all that the host needs; 409 where somebody else has it, or the offer is old."""
    body = await call.body(WorkClaimBody)
    given = await call.context.remote.claim(
        call.number("id"), body.attempt, host=body.host, worker=body.worker, pid=body.pid
    )
    return JSONResponse(given.model_dump(mode="json"))


async def beat(call: Call) -> Response:
    """Says whether the job was asked to end; 409 where the attempt is not the current one, or not on another host."""
    number, body = call.number("id"), await call.body(WorkBeatBody)
    return JSONResponse({"cancel": await call.context.remote.beat(number, body.attempt, body.progress)})


async def folders(call: Call) -> Response:
    """Folders that the attempt needs, relative to the state folder; 409 where it is not the current one."""
    found = await call.context.remote.folders(call.number("id"), call.option("attempt", 0))
    return JSONResponse({"folders": [*found]})


async def deliver(call: Call) -> Response:
    """Put files of the run in place; 409 where the attempt is not the current one, 422 where a file is not whole."""
    try:
        await call.context.remote.deliver(call.number("id"), await call.body(DeliverBody))
    except BadDeliveryError as error:
        raise ControlError(422, "bad_delivery", str(error)) from error
    return JSONResponse({})


async def finish(call: Call) -> Response:
    """End an attempt; the job as it is now. 409 and 422 as for ``deliver``."""
    try:
        job = await call.context.remote.finish(call.number("id"), await call.body(FinishWorkBody))
    except BadDeliveryError as error:
        raise ControlError(422, "bad_delivery", str(error)) from error
    return JSONResponse(call.context.learning.jobs.describe(job))


OPERATIONS = (
    Operation("POST", "/v1/work/{id}/claim", Access.ADMIN, "Give an attempt to a host", claim, WorkClaimBody),
    Operation("POST", "/v1/work/{id}/beat", Access.ADMIN, "Show that an attempt lives", beat, WorkBeatBody),
    Operation(
        "GET",
        "/v1/work/{id}/folders",
        Access.ADMIN,
        "What a host needs for an attempt",
        folders,
        query={"attempt": "its number"},
    ),
    Operation("POST", "/v1/work/{id}/deliver", Access.ADMIN, "Take files of a run", deliver, DeliverBody),
    Operation("POST", "/v1/work/{id}/finish", Access.ADMIN, "End an attempt on a host", finish, FinishWorkBody),
)

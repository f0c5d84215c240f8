"""``/runs/{run_id}/logs`` and ``/runs/{run_id}/logs/stream``: what a run says."""

import asyncio
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import PlainTextResponse, Response

from control.job_answers import FINAL
from daemon.workers.server.api.runs.answering import RunId
from daemon.workers.server.api.runs.described import NO_DEFAULT_ERROR, Described
from daemon.workers.server.api.runs.log_stream import LogStream, for_people
from daemon.workers.server.api.runs.runs import Runs
from daemon.workers.server.errors import ApiError
from daemon.workers.server.runs.log_file import position

Tail = Annotated[int, Query(ge=0, le=100_000, description="How many of the last lines to begin with.")]
Format = Annotated[Literal["text", "json"], Query(description="Lines for people, or as they are in the file.")]
_DEFAULT_LINES = 200


def router(runs: Runs) -> APIRouter:
    """Make the router with the routes of this module."""
    routes = APIRouter(tags=["runs"])

    @routes.get(
        "/runs/{run_id}/logs",
        response_class=PlainTextResponse,
        responses=NO_DEFAULT_ERROR,
        openapi_extra=Described({200: "text/plain"}),
    )
    async def logs(run_id: RunId, tail: Tail = _DEFAULT_LINES, format: Format = "text") -> Response:  # noqa: A002
        job = await runs.run(run_id)
        chunk = await asyncio.to_thread(runs.logs.file(job).tail, tail)
        if chunk.end is None:
            raise ApiError(404, "not_found", f"run {run_id!r} has no log yet: it is {job['state']}")
        lines = [line.decode(errors="replace") if format == "json" else for_people(line) for _, line in chunk.lines]
        return PlainTextResponse("".join(f"{line}\n" for line in lines))

    @routes.get(
        "/runs/{run_id}/logs/stream",
        responses={**NO_DEFAULT_ERROR, 204: {"description": "The run has ended, and all was sent before."}},
        openapi_extra=Described({200: "text/event-stream"}),
    )
    async def stream(
        http: Request,
        run_id: RunId,
        tail: Tail = _DEFAULT_LINES,
        follow: Annotated[bool, Query(description="Whether to go on until the run has ended.")] = True,
        after: Annotated[str, Query(max_length=64, description="Resume here; the header Last-Event-ID wins.")] = "",
        format: Format = "text",  # noqa: A002
    ) -> Response:
        job = await runs.run(run_id)
        file = runs.logs.file(job)
        resumed = http.headers.get("last-event-id") or after
        if not resumed:
            first = await asyncio.to_thread(file.tail, tail)
            return LogStream(runs.logs, job, first, follows=follow, raw=format == "json")
        if (place := position(resumed)) is None:
            raise ApiError(422, "invalid_value", "Last-Event-ID: an id of this stream is expected, INODE:OFFSET")
        first = await asyncio.to_thread(file.after, place)
        if not first.lines and job["state"] in FINAL:
            return Response(status_code=204)
        return LogStream(runs.logs, job, first, follows=follow, raw=format == "json")

    return routes

"""``/v1/fine_tuning/jobs``: have the model learn from uploaded files."""

import asyncio
import re
from collections.abc import Callable

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import JsonValue

from control.job_answers import Job
from daemon.workers.server.api.bodies import described, read
from daemon.workers.server.api.cursor_pages import Query, page
from daemon.workers.server.api.fine_tuning.asking import (
    TrainingFile,
    check_integrations,
    check_learnable,
    check_method,
    job_of,
)
from daemon.workers.server.api.fine_tuning.events import events
from daemon.workers.server.api.fine_tuning.jobs import FineTuningJobs
from daemon.workers.server.api.fine_tuning.labels import Labels, labels_of, number_of
from daemon.workers.server.api.fine_tuning.output import checkpoints, written
from daemon.workers.server.api.fine_tuning.schemas import FineTuningBody
from daemon.workers.server.errors import ApiError
from daemon.workers.server.files.checker import FileChecker
from daemon.workers.server.files.file_store import ANYBODY
from daemon.workers.server.service import InferenceService

CHECK_SECONDS = 300.0
"""How long a request waits for its files to be checked."""
_METADATA = re.compile(r"metadata\[(.{1,64})\]")


def router(service: InferenceService, uploads: FileChecker, jobs: FineTuningJobs) -> APIRouter:
    """Make the router with the routes of this module."""
    routes = APIRouter(prefix="/v1/fine_tuning/jobs", tags=["fine-tuning"])

    @routes.post("", openapi_extra=described(FineTuningBody))
    async def create(http: Request) -> JSONResponse:
        body = await read(http, FineTuningBody, service.body_limit)
        owner: str = http.state.owner
        objective = check_method(body)
        check_integrations(body)
        base = service.pin(body.model)
        training = await _file(uploads, owner, body.training_file, objective, "training_file")
        name = body.validation_file
        validation = None if name is None else await _file(uploads, owner, name, objective, "validation_file")
        key = http.headers.get("idempotency-key")
        asked = job_of(body, training, validation, base, service.settings, owner or ANYBODY, key)
        job = await jobs.submit(asked)
        labels = labels_of(job)
        if labels is None:
            raise ApiError(500, "internal_error", f"job {job['id']} has lost what it was asked for")
        return await answer(owner, job, labels)

    @routes.get("")
    async def list_jobs(http: Request) -> JSONResponse:
        owner: str = http.state.owner
        query = Query(http)
        after, limit = query.text("after"), query.limit(20, 100)
        wanted = _metadata(query, http)
        before = None if after is None else number_of(after)
        if after is not None and before is None:
            raise ApiError(400, "invalid_value", f"after: there is no job {after[:100]!r}", param="after")
        found: list[tuple[Job, Labels]] = []
        async for job, labels in jobs.newest(owner, before):
            if wanted is None or wanted(labels):
                found.append((job, labels))
            if len(found) > limit:
                break
        shown = [await described_job(owner, job, labels) for job, labels in found[:limit]]
        return JSONResponse({"object": "list", "data": shown, "has_more": len(found) > limit})

    @routes.get("/{name}")
    async def get(http: Request, name: str) -> JSONResponse:
        return await answer(http.state.owner, *await jobs.get(http.state.owner, name))

    @routes.post("/{name}/cancel")
    async def cancel(http: Request, name: str) -> JSONResponse:
        return await answer(http.state.owner, *await jobs.cancel(http.state.owner, name))

    @routes.post("/{name}/pause")
    @routes.post("/{name}/resume")
    async def pause(http: Request, name: str) -> JSONResponse:
        await jobs.get(http.state.owner, name)
        message = "jobs are not paused here: cancel this one, and make another one"
        raise ApiError(400, "unsupported_operation", message, param="fine_tuning_job_id")

    @routes.get("/{name}/events")
    async def list_events(http: Request, name: str) -> JSONResponse:
        query = Query(http)
        after, limit = query.text("after"), query.limit(20, 1000)
        job, labels = await jobs.get(http.state.owner, name)
        found = events(job, labels, await jobs.figures(job))
        return JSONResponse(page(found, after, limit, _id, lambda event: event))

    @routes.get("/{name}/checkpoints")
    async def list_checkpoints(http: Request, name: str) -> JSONResponse:
        query = Query(http)
        after, limit = query.text("after"), query.limit(10, 1000)
        job, _ = await jobs.get(http.state.owner, name)
        return JSONResponse(page(checkpoints(job, await jobs.figures(job)), after, limit, _id, lambda each: each))

    async def described_job(owner: str, job: Job, labels: Labels) -> dict[str, JsonValue]:
        figures = await jobs.figures(job)
        return written(job, labels, figures, await jobs.results(owner, job, figures))

    async def answer(owner: str, job: Job, labels: Labels) -> JSONResponse:
        return JSONResponse(await described_job(owner, job, labels))

    return routes


async def _file(uploads: FileChecker, owner: str, name: str, objective: str, param: str) -> TrainingFile:
    """A file that a job names in the field ``param``, checked.

    Raises:
        ApiError: 404, there is none; 400, it cannot be learned; 503, it is still being checked.
    """
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            found = await uploads.checked(owner, name)
    except TimeoutError:
        message = f"{param}: {name} is still being checked; ask again in a while"
        raise ApiError(503, "file_not_checked", message, param=param, retry_after=30) from None
    except ApiError as error:
        if error.status == 404:
            error.param = param
        raise
    check_learnable(found, objective, param)
    return TrainingFile(found, uploads.store.content(owner, name))


def _metadata(query: Query, http: Request) -> Callable[[Labels], bool] | None:
    """Whether a job has the metadata that a list asks for; null: all have."""
    if query.text("metadata") == "null":
        return lambda labels: labels.metadata is None
    asked = {found[1]: query.text(name) for name in http.query_params if (found := _METADATA.fullmatch(name))}
    return (lambda labels: asked.items() <= (labels.metadata or {}).items()) if asked else None


def _id(event: dict[str, JsonValue]) -> str:
    return str(event["id"])

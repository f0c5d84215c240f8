"""``/runs/{run_id}/generate`` and ``/runs/{run_id}/score``: asked of a run's version, beside the one that serves."""

import asyncio

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from control.paths import version_name
from daemon.workers.server.api.runs.answering import RunId, Wait, accepted, asked_of, found, request_of
from daemon.workers.server.api.runs.answers import GenerateAnswer, ScoreAnswer, asked_answer, request_id_of
from daemon.workers.server.api.runs.bodies import GenerateBody, ScoreTextBody
from daemon.workers.server.api.runs.described import NO_DEFAULT_ERROR, Described, body_of
from daemon.workers.server.api.runs.runs import Runs
from daemon.workers.server.runs.file_roots import read_text


def router(runs: Runs) -> APIRouter:
    """Make the router with the routes of this module."""
    routes = APIRouter(tags=["runs"])

    @routes.post(
        "/runs/{run_id}/generate",
        status_code=202,
        responses=NO_DEFAULT_ERROR,
        openapi_extra=Described({202: GenerateAnswer, 200: GenerateAnswer}, GenerateBody),
    )
    async def generate(http: Request, run_id: RunId, wait: Wait = 0) -> JSONResponse:
        body = await body_of(http, GenerateBody, runs.service.body_limit)
        await _check_file(runs, body.prompt_path, "prompt_path")
        return await _asked(http, run_id, body, "generate", wait)

    @routes.get(
        "/runs/{run_id}/generate/{request_id}",
        responses=NO_DEFAULT_ERROR,
        openapi_extra=Described({200: GenerateAnswer}),
    )
    async def generated(http: Request, run_id: RunId, request_id: str, wait: Wait = 0) -> JSONResponse:
        return await _looked(http, run_id, request_id, "generate", wait)

    @routes.post(
        "/runs/{run_id}/score",
        status_code=202,
        responses=NO_DEFAULT_ERROR,
        openapi_extra=Described({202: ScoreAnswer, 200: ScoreAnswer}, ScoreTextBody),
    )
    async def score(http: Request, run_id: RunId, wait: Wait = 0) -> JSONResponse:
        body = await body_of(http, ScoreTextBody, runs.service.body_limit)
        await _check_file(runs, body.path, "path")
        return await _asked(http, run_id, body, "score", wait)

    @routes.get(
        "/runs/{run_id}/score/{request_id}", responses=NO_DEFAULT_ERROR, openapi_extra=Described({200: ScoreAnswer})
    )
    async def scored(http: Request, run_id: RunId, request_id: str, wait: Wait = 0) -> JSONResponse:
        return await _looked(http, run_id, request_id, "score", wait)

    async def _asked(
        http: Request, run_id: str, body: GenerateBody | ScoreTextBody, kind: str, wait: float
    ) -> JSONResponse:
        version = version_name(await runs.version(run_id))
        request = {**request_of(body), "run": run_id, "version": version}
        job = await runs.ended(await runs.submit(http, kind, request, asked_of(body)), wait)
        return accepted(job, asked_answer(job), f"/runs/{run_id}/{kind}/{request_id_of(job)}")

    async def _looked(http: Request, run_id: str, request_id: str, kind: str, wait: float) -> JSONResponse:
        job = await runs.asked(http, kind, run_id, request_id)
        return found(asked_answer(await runs.ended(job, wait)))

    return routes


async def _check_file(runs: Runs, path: str | None, param: str) -> None:
    """Say now what is wrong with the file that a request names; it is read again when its turn comes.

    Raises:
        ApiError: 403, 404, 413 or 422.
    """
    if path is not None:
        roots, limit = runs.service.settings.api.file_roots, runs.service.body_limit
        await asyncio.to_thread(read_text, path, roots, param, limit)

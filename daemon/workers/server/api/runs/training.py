"""``/runs/train`` and what can be asked of a run while it is trained, and after."""

from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from control.answers import Json
from control.job_answers import Job
from daemon.workers.server.access.scopes import permits
from daemon.workers.server.api.runs import training_request
from daemon.workers.server.api.runs.answering import RunId, Wait, accepted, asked_of, found
from daemon.workers.server.api.runs.answers import (
    ArtifactAnswer,
    CancelAnswer,
    EvaluationAnswer,
    RunAnswer,
    RunQueued,
    evaluation_answer,
    run_answer,
    run_id_of,
    status_of,
)
from daemon.workers.server.api.runs.described import NO_DEFAULT_ERROR, Described, body_of
from daemon.workers.server.api.runs.runs import Runs
from daemon.workers.server.api.runs.schemas import EvaluateBody, TrainBody
from daemon.workers.server.errors import ApiError

_TRAINING_SECONDS = 5
"""After which a client may look again."""


def router(runs: Runs) -> APIRouter:
    """Make the router with the routes of this module."""
    routes = APIRouter(tags=["runs"])

    @routes.post(
        "/runs/train",
        status_code=202,
        responses=NO_DEFAULT_ERROR,
        openapi_extra=Described({202: RunQueued, 200: RunQueued}, TrainBody),
    )
    async def train(http: Request, wait: Wait = 0) -> JSONResponse:
        body = await body_of(http, TrainBody, runs.service.body_limit)
        if body.promote == "force" and not permits(http.state.scopes, "admin"):
            raise ApiError(403, "missing_scope", "promote: 'force' needs an API key with the scope 'admin'")
        corpus = await runs.corpus(http, body.corpus_file_id, body.corpus_path)
        named = body.pretrained_run_id or body.base
        base = None if named is None else await runs.version(named)
        if body.tokenizer_id is not None:
            await runs.tokenizer(body.tokenizer_id)  # it may still be in training
        asked = asked_of(body)
        if body.promote is not None:
            asked["promote"] = body.promote
        request = training_request.request(body, corpus, base)
        job = await runs.submit(http, "train", request, asked, run_id=body.run_id)
        job = await runs.ended(job, wait)
        answer = RunQueued(run_id=run_id_of(job), job_id=str(job["id"]), status=status_of(job))
        return accepted(job, answer, f"/runs/{answer.run_id}", seconds=_TRAINING_SECONDS)

    @routes.get("/runs/{run_id}", responses=NO_DEFAULT_ERROR, openapi_extra=Described({200: RunAnswer}))
    async def run(run_id: RunId, wait: Wait = 0) -> JSONResponse:
        return found(run_answer(await runs.ended(await runs.run(run_id), wait)))

    @routes.post(
        "/runs/{run_id}/cancel",
        status_code=202,
        responses=NO_DEFAULT_ERROR,
        openapi_extra=Described({202: CancelAnswer}),
    )
    async def cancel(run_id: RunId) -> JSONResponse:
        await runs.jobs.cancel((await runs.run(run_id))["id"])
        return JSONResponse(CancelAnswer().model_dump(), 202)

    @routes.post(
        "/runs/{run_id}/evaluate",
        status_code=202,
        responses=NO_DEFAULT_ERROR,
        openapi_extra=Described({202: EvaluationAnswer, 200: EvaluationAnswer}, EvaluateBody),
    )
    async def evaluate(http: Request, run_id: RunId, wait: Wait = 0) -> JSONResponse:
        body = await body_of(http, EvaluateBody, runs.service.body_limit)
        version = await runs.version(run_id)
        request: dict[str, Json] = {"version": version, "split": body.split or "validation"}
        if body.path_override is not None:
            request["files"] = [str(await runs.corpus(http, None, body.path_override))]
        job = await runs.submit(http, "evaluate", request, asked_of(body), run_id=run_id)
        job = await runs.ended(job, wait)
        return accepted(job, evaluation_answer(run_id, job), f"/runs/{run_id}/eval", seconds=_TRAINING_SECONDS)

    @routes.get("/runs/{run_id}/eval", responses=NO_DEFAULT_ERROR, openapi_extra=Described({200: EvaluationAnswer}))
    async def evaluation(run_id: RunId, wait: Wait = 0) -> JSONResponse:
        return found(evaluation_answer(run_id, await runs.ended(await runs.evaluation(run_id), wait)))

    @routes.get("/runs/{run_id}/artifact", responses=NO_DEFAULT_ERROR, openapi_extra=Described({200: ArtifactAnswer}))
    async def artifact(run_id: RunId) -> JSONResponse:
        job = await runs.run(run_id)
        await runs.version(run_id)  # a run without one has no artifact
        return found(_artifact(job, runs.paths.model_artifact(run_id_of(job))))

    return routes


def _artifact(job: Job, folder: Path) -> ArtifactAnswer:
    """Where it is: in a data bank, if it was uploaded to one, else in a folder of this machine."""
    uploaded = (job["result"] or {}).get("artifact")
    if isinstance(uploaded, dict):
        storage, name = uploaded.get("storage"), uploaded.get("file_id")
        if isinstance(storage, str) and isinstance(name, str):
            return ArtifactAnswer(storage=storage, file_id=name, path=str(folder), version=job["version"] or "")
    return ArtifactAnswer(storage="local", file_id=folder.name, path=str(folder), version=job["version"] or "")

"""``/runs/{run_id}/chat``: conversations with a run's version, which the server remembers."""

import hashlib
import uuid

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from control.paths import version_name
from daemon.workers.server.api.runs.answering import RunId, Wait, accepted, asked_of, found, request_of
from daemon.workers.server.api.runs.answers import (
    ChatAnswer,
    ChatHistory,
    DeletedAnswer,
    asked_answer,
    request_id_of,
    session_id_of,
)
from daemon.workers.server.api.runs.bodies import ChatTurnBody
from daemon.workers.server.api.runs.described import NO_DEFAULT_ERROR, Described, body_of
from daemon.workers.server.api.runs.runs import Runs
from daemon.workers.server.errors import ApiError


def router(runs: Runs) -> APIRouter:
    """Make the router with the routes of this module."""
    routes = APIRouter(tags=["runs"])

    @routes.post(
        "/runs/{run_id}/chat",
        status_code=202,
        responses=NO_DEFAULT_ERROR,
        openapi_extra=Described({202: ChatAnswer, 200: ChatAnswer}, ChatTurnBody),
    )
    async def chat(http: Request, run_id: RunId, wait: Wait = 0) -> JSONResponse:
        body = await body_of(http, ChatTurnBody, runs.service.body_limit)
        version = version_name(await runs.version(run_id))
        session = body.session_id or _new_session(http.state.owner, http.headers.get("idempotency-key"))
        request = {**request_of(body), "run": run_id, "version": version, "session_id": session}
        job = await runs.ended(await runs.submit(http, "chat", request, asked_of(body)), wait)
        location = f"/runs/{run_id}/chat/{session_id_of(job)}/{request_id_of(job)}"
        return accepted(job, asked_answer(job), location)

    @routes.get(
        "/runs/{run_id}/chat/{session_id}/{request_id}",
        responses=NO_DEFAULT_ERROR,
        openapi_extra=Described({200: ChatAnswer}),
    )
    async def turn(http: Request, run_id: RunId, session_id: str, request_id: str, wait: Wait = 0) -> JSONResponse:
        job = await runs.asked(http, "chat", run_id, request_id)
        if session_id_of(job) != session_id:
            message = f"chat {session_id[:128]!a} has no request {request_id[:128]!a}"
            raise ApiError(404, "not_found", message)
        return found(asked_answer(await runs.ended(job, wait)))

    @routes.get(
        "/runs/{run_id}/chat/{session_id}", responses=NO_DEFAULT_ERROR, openapi_extra=Described({200: ChatHistory})
    )
    async def history(http: Request, run_id: RunId, session_id: str) -> JSONResponse:
        said = await runs.chats.history(http.state.owner, run_id, session_id)
        return found(ChatHistory.model_validate({**said, "session_id": session_id, "run_id": run_id}))

    @routes.delete(
        "/runs/{run_id}/chat/{session_id}", responses=NO_DEFAULT_ERROR, openapi_extra=Described({200: DeletedAnswer})
    )
    async def delete(http: Request, run_id: RunId, session_id: str) -> JSONResponse:
        await runs.chats.delete(http.state.owner, run_id, session_id)
        return found(DeletedAnswer())

    return routes


def _new_session(owner: str, key: str | None) -> str:
    """The name of a chat that begins; the same for the same idempotency key, so that the request stays the same."""
    return uuid.uuid4().hex if key is None else hashlib.sha256(f"{owner}\n{key}".encode()).hexdigest()[:32]

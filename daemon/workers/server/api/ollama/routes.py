"""``/api/...``: chats, generations and embeddings as Ollama's clients ask for them, and what they ask of models."""

import importlib.metadata
import uuid
from typing import Literal

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import JsonValue

from daemon.workers.server.answers import ClientGoneError
from daemon.workers.server.api.answering.embedding import embedded
from daemon.workers.server.api.answering.turn import ChatTurn
from daemon.workers.server.api.bodies import described, read
from daemon.workers.server.api.chat_schemas import ChatBody
from daemon.workers.server.api.generation import as_stream, in_one_piece, json_answer
from daemon.workers.server.api.ollama import models
from daemon.workers.server.api.ollama.asking import chat_of, generation_of
from daemon.workers.server.api.ollama.fields import ERRORS
from daemon.workers.server.api.ollama.output import Lines, nothing
from daemon.workers.server.api.ollama.schemas import EmbedBody, GenerateBody, OllamaChatBody, ShowBody
from daemon.workers.server.api.schemas import NO_LIMIT
from daemon.workers.server.api.streaming import LINES
from daemon.workers.server.errors import ApiError
from daemon.workers.server.service import InferenceService


def router(service: InferenceService) -> APIRouter:
    """Make the router with the routes of this module."""
    routes = APIRouter(prefix="/api", tags=["ollama"])

    @routes.post("/chat", openapi_extra=described(OllamaChatBody))
    async def chat(http: Request) -> Response:
        body = await read(http, OllamaChatBody, service.body_limit)
        if not body.messages:  # have the model loaded
            await service.prompt_spec(body.model)
            return JSONResponse(nothing(body.model, "chat"))
        return await _answered(service, http, chat_of(body), "chat")

    @routes.post("/generate", openapi_extra=described(GenerateBody))
    async def generate(http: Request) -> Response:
        body = await read(http, GenerateBody, service.body_limit)
        if not body.prompt:
            await service.prompt_spec(body.model)
            return JSONResponse(nothing(body.model, "generate"))
        return await _answered(service, http, generation_of(body), "generate")

    @routes.post("/embed", openapi_extra=described(EmbedBody))
    async def embed(http: Request) -> Response:
        body = await read(http, EmbedBody, service.body_limit)
        try:
            found = await embedded(service, http, body.input, body.model, NO_LIMIT if body.truncate else None)
        except ClientGoneError:
            return Response(status_code=499)  # nobody reads it
        if body.dimensions not in (None, len(found.vectors[0])):
            message = f"dimensions: this model's embeddings have {len(found.vectors[0])}"
            raise ApiError(400, "invalid_value", message, param="dimensions")
        vectors: list[JsonValue] = [[*vector] for vector in found.vectors]
        counted: dict[str, JsonValue] = {"total_duration": 0, "load_duration": 0, "prompt_eval_count": found.tokens}
        return json_answer({"model": body.model, "embeddings": vectors, **counted}, found.version)

    @routes.get("/tags")
    async def tags() -> JSONResponse:
        return JSONResponse({"models": models.listed(service)})

    @routes.get("/ps")
    async def running() -> JSONResponse:
        return JSONResponse({"models": models.running(service)})

    @routes.post("/show", openapi_extra=described(ShowBody))
    async def show(http: Request) -> JSONResponse:
        body = await read(http, ShowBody, service.body_limit)
        return JSONResponse(models.shown(service, body.model))

    @routes.get("/version")
    async def version() -> JSONResponse:
        return JSONResponse({"version": importlib.metadata.version("thord")})

    return routes


async def _answered(
    service: InferenceService, http: Request, asked: ChatBody, kind: Literal["chat", "generate"]
) -> Response:
    try:
        turn = await ChatTurn.begin(service, http, asked)
    except ApiError as error:
        raise error.renamed(ERRORS) from None
    lines = Lines(turn, f"{kind}-{uuid.uuid4().hex}", asked.model or "", kind)
    if asked.stream:
        seconds = service.settings.api.request_timeout_seconds
        return await as_stream(http, turn.answer, lines.lines(), seconds, LINES)
    return await in_one_piece(turn.answer, lines.whole, lines.keep)

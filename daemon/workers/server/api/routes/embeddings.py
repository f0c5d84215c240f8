"""``/v1/embeddings``: what the model makes of a text, as a direction in space.

An embedding is the mean of the last layer's hidden states over the tokens of the text, scaled to length 1: of all that
a model that was only taught to predict offers, the mean says most about the whole text. Vectors of different versions
are not comparable: whoever keeps them keeps ``system_fingerprint`` too.
"""

import asyncio
import base64
import math
import struct
import time
from dataclasses import dataclass

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import JsonValue

from control.paths import version_name
from daemon.workers.server.answers import ClientGoneError, PendingAnswer
from daemon.workers.server.api.bodies import described, read
from daemon.workers.server.api.generation import json_answer
from daemon.workers.server.api.prompts import encoded
from daemon.workers.server.api.schemas import EmbeddingBody
from daemon.workers.server.errors import ApiError
from daemon.workers.server.service import MODEL, InferenceService
from engine.inference.requests import GenerationParams, PromptTooLongError


def router(service: InferenceService) -> APIRouter:
    """Make the router with the route of this module."""
    routes = APIRouter(tags=["embeddings"])

    @routes.post("/v1/embeddings", openapi_extra=described(EmbeddingBody))
    async def embeddings(http: Request) -> Response:
        body = await read(http, EmbeddingBody, service.body_limit)
        spec = await service.prompt_spec()
        prompts = (await encoded(service, spec, body.input, "input")).truncated(
            body.truncate_prompt_tokens, spec.context
        )
        longest = max(map(len, prompts.ids))
        if longest > spec.context:
            message = str(PromptTooLongError(longest, spec.context))
            raise ApiError(400, "context_length_exceeded", message, param="input")
        try:
            embedded = await _embedded(service, http, prompts.ids, body.model)
        except ClientGoneError:
            return Response(status_code=499)  # nobody reads it
        return await asyncio.to_thread(lambda: json_answer(_written(body, embedded), embedded.version))

    return routes


@dataclass(frozen=True)
class _Embedded:
    """The sums of hidden states of each text, all by one version."""

    version: int
    sums: list[list[float]]
    tokens: int


async def _embedded(
    service: InferenceService, http: Request, prompts: list[list[int]], model: str | None, *, queue_pause: float = 0.1
) -> _Embedded:
    """Embed many texts, as many at once as the engine has rows, so that others have their turn between them.

    Vectors of two versions are not comparable. Where the one that began goes out of memory, another begins anew.

    Raises:
        ApiError: 400, 404, 429, 503, or 504, as `InferenceService.ask`.
        ClientGoneError: nobody waits any more.
    """
    deadline = time.monotonic() + service.settings.api.request_timeout_seconds
    chosen = service.pin(model)
    while True:
        version, sums, tokens = chosen, list[list[float]](), 0
        try:
            for start in range(0, len(prompts), service.rows):
                texts = prompts[start : start + service.rows]
                answer = await _asked(service, http, texts, version, deadline, queue_pause if start else None)
                try:
                    sums += [result.hidden_sums for result in await answer.whole()]
                finally:
                    answer.close()
                if version is None:
                    version = answer.version
                tokens += answer.prompt_tokens
        except ApiError as error:
            replaced = version is not None and chosen is None and error.code in {"model_not_found", "version_replaced"}
            if not replaced:
                raise
        else:
            return _Embedded(answer.version, sums, tokens)


async def _asked(
    service: InferenceService,
    http: Request,
    prompts: list[list[int]],
    version: int | None,
    deadline: float,
    queue_pause: float | None,
) -> PendingAnswer:
    """Some texts on their way. Where the queue is full they try again after a pause, or, without one, are refused."""
    while True:
        seconds = deadline - time.monotonic()
        if seconds <= 0:
            raise ApiError(504, "timeout", "not all texts were embedded within api.request_timeout_seconds")
        try:
            params = GenerationParams(0, sum_hidden=True)
            return service.ask(http, prompts, params, model=None, param="input", pin=version, seconds=seconds)
        except ApiError as error:
            if error.code != "queue_full" or queue_pause is None:
                raise
        await asyncio.sleep(queue_pause)


def _written(body: EmbeddingBody, embedded: _Embedded) -> dict[str, JsonValue]:
    data: list[JsonValue] = []
    for index, sums in enumerate(embedded.sums):
        vector = _unit(sums)
        if body.dimensions not in (None, len(vector)):
            message = f"this model's embeddings have {len(vector)} dimensions"
            raise ApiError(400, "invalid_value", message, param="dimensions")
        floats: list[JsonValue] = [*vector]
        packed = base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
        data.append(
            {
                "object": "embedding",
                "index": index,
                "embedding": packed if body.encoding_format == "base64" else floats,
            }
        )
    return {
        "object": "list",
        "model": body.model or MODEL,
        "system_fingerprint": version_name(embedded.version),
        "data": data,
        "usage": {"prompt_tokens": embedded.tokens, "total_tokens": embedded.tokens},
    }


def _unit(sums: list[float]) -> list[float]:
    """The mean's direction is that of the sum."""
    length = math.hypot(*sums)
    return [value / length for value in sums] if length else sums

"""``/v1/embeddings``: what the model makes of a text, as a direction in space."""

import asyncio
import base64
import struct

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import JsonValue

from control.paths import version_name
from daemon.workers.server.answers import ClientGoneError
from daemon.workers.server.api.answering.embedding import Embedded, embedded
from daemon.workers.server.api.bodies import described, read
from daemon.workers.server.api.generation import json_answer
from daemon.workers.server.api.schemas import EmbeddingBody
from daemon.workers.server.errors import ApiError
from daemon.workers.server.service import MODEL, InferenceService


def router(service: InferenceService) -> APIRouter:
    """Make the router with the route of this module."""
    routes = APIRouter(tags=["embeddings"])

    @routes.post("/v1/embeddings", openapi_extra=described(EmbeddingBody))
    async def embeddings(http: Request) -> Response:
        body = await read(http, EmbeddingBody, service.body_limit)
        try:
            found = await embedded(service, http, body.input, body.model, body.truncate_prompt_tokens)
        except ClientGoneError:
            return Response(status_code=499)  # nobody reads it
        return await asyncio.to_thread(lambda: json_answer(_written(body, found), found.version))

    return routes


def _written(body: EmbeddingBody, found: Embedded) -> dict[str, JsonValue]:
    data: list[JsonValue] = []
    for index, vector in enumerate(found.vectors):
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
        "system_fingerprint": version_name(found.version),
        "data": data,
        "usage": {"prompt_tokens": found.tokens, "total_tokens": found.tokens},
    }

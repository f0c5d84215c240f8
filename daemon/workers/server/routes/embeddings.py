"""``/v1/embeddings``: what the model makes of a text, as a direction in space.

An embedding is the mean of the last layer's hidden states over the tokens of the text, scaled to length 1: of all that
a model that was only taught to predict offers, the mean says most about the whole text. Vectors of different versions
are not comparable: whoever keeps them keeps ``system_fingerprint`` too.
"""

import base64
import math
import struct

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import JsonValue

from daemon.workers.server.answers import Answer, Result
from daemon.workers.server.bodies import described, read
from daemon.workers.server.errors import ApiError
from daemon.workers.server.generation import in_one_piece
from daemon.workers.server.prompts import encoded
from daemon.workers.server.schemas import EmbeddingBody
from daemon.workers.server.service import MODEL, Service
from engine.inference.requests import Wish


def router(service: Service) -> APIRouter:
    """The route."""
    routes = APIRouter(tags=["embeddings"])

    @routes.post("/v1/embeddings", openapi_extra=described(EmbeddingBody))
    async def embeddings(http: Request) -> Response:
        body = await read(http, EmbeddingBody, service.body_limit)
        prompts = await encoded(service, await service.outline(), body.input, "input")
        answer = service.ask(http, prompts.ids, Wish(0, sum_hidden=True), model=body.model, param="input")
        return await in_one_piece(answer, lambda results: _written(body, answer, results))

    return routes


def _written(body: EmbeddingBody, answer: Answer, results: list[Result]) -> dict[str, JsonValue]:
    data: list[JsonValue] = []
    for index, result in enumerate(results):
        vector = _unit(result.hidden_sums)
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
    read = answer.usage["prompt_tokens"]
    return {
        "object": "list",
        "model": body.model or MODEL,
        "system_fingerprint": f"{answer.version:06d}",
        "data": data,
        "usage": {"prompt_tokens": read, "total_tokens": read},
    }


def _unit(sums: list[float]) -> list[float]:
    """The mean's direction is that of the sum."""
    length = math.hypot(*sums)
    return [value / length for value in sums] if length else sums

"""What the model makes of texts, as directions in space.

An embedding is the mean of the last layer's hidden states over the tokens of the text, scaled to length 1: of all that
a model that was only taught to predict offers, the mean says most about the whole text. Vectors of different versions
are not comparable: whoever keeps them keeps the version too.
"""

import asyncio
import math
import time
from dataclasses import dataclass

from fastapi import Request

from daemon.workers.server.answers import PendingAnswer
from daemon.workers.server.api.prompts import Written, encoded
from daemon.workers.server.errors import ApiError
from daemon.workers.server.service import InferenceService
from engine.inference.requests import GenerationParams, PromptTooLongError


@dataclass(frozen=True)
class Embedded:
    """The vectors of some texts, all by one version."""

    version: int
    vectors: list[list[float]]
    tokens: int


async def embedded(
    service: InferenceService, http: Request, texts: Written, model: str | None, kept: int | None, param: str = "input"
) -> Embedded:
    """Embed texts, which came in the field ``param``; of each the last ``kept`` tokens (`truncated`).

    Raises:
        ApiError: 400, 404, 429, 503, or 504, as `InferenceService.ask`.
        ClientGoneError: nobody waits any more.
    """
    spec = await service.prompt_spec(model)
    prompts = (await encoded(service, spec, texts, param)).truncated(kept, spec.context)
    longest = max(map(len, prompts.ids))
    if longest > spec.context:
        message = str(PromptTooLongError(longest, spec.context))
        raise ApiError(400, "context_length_exceeded", message, param=param)
    return await embedded_ids(service, http, prompts.ids, model)


async def embedded_ids(
    service: InferenceService, http: Request, prompts: list[list[int]], model: str | None, *, queue_pause: float = 0.1
) -> Embedded:
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
            return Embedded(answer.version, await asyncio.to_thread(_units, sums), tokens)


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


def _units(sums: list[list[float]]) -> list[list[float]]:
    """The mean's direction is that of the sum."""
    lengths = [math.hypot(*each) for each in sums]
    return [[value / length for value in each] if length else each for each, length in zip(sums, lengths, strict=True)]

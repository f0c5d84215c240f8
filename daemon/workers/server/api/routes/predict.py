"""``/predict`` and ``/v1/score``: thord's own, for ``thorctl`` and for programs that want no chat."""

import math

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import JsonValue

from control.paths import version_name
from daemon.workers.server.answers import PendingAnswer, Result
from daemon.workers.server.api.bodies import described, read
from daemon.workers.server.api.generation import eos_ids, in_one_piece, token_limit
from daemon.workers.server.api.logprobs import written
from daemon.workers.server.api.prompts import encoded, prompt_of
from daemon.workers.server.api.schemas import PredictBody, ScoreBody
from daemon.workers.server.errors import ApiError
from daemon.workers.server.service import InferenceService
from engine.data.samples import Message
from engine.inference.requests import GenerationParams, Sampling, Scored
from engine.tokenizers.base import BOS, Tokenizer

TASKS = ("text_generation", "chat")
DEFAULT_TOKENS = 256
"""Of a text whose length nobody names. A chat may fill the context."""


def router(service: InferenceService) -> APIRouter:
    """Make the router with the routes of this module."""
    routes = APIRouter(tags=["prediction"])

    @routes.post("/predict", openapi_extra=described(PredictBody))
    async def predict(http: Request) -> Response:
        body = await read(http, PredictBody, service.body_limit)
        if body.task not in TASKS:
            message = f"this model has no task {body.task!r}; it has: {', '.join(TASKS)}"
            raise ApiError(400, "unknown_task", message, param="task")
        spec = await service.prompt_spec()
        tokenizer = spec.tokenizer
        if body.task == "chat":
            prompt = await prompt_of(tokenizer, [Message("user", body.input)])
        else:
            prompt = (await encoded(service, spec, body.input, "input")).ids[0]
        asked = DEFAULT_TOKENS if body.max_tokens is None and body.task != "chat" else body.max_tokens
        params = GenerationParams(
            token_limit(asked, service.settings.inference.max_tokens),
            body.sampling,
            stop=tuple(filter(None, body.stop_sequences or ())),
            eos_ids=eos_ids(tokenizer, ignore=body.stop_on_eos is False),
        )
        answer = service.ask(http, [prompt] * (body.num_return_sequences or 1), params, model=body.model, param="input")
        return await in_one_piece(answer, lambda results: _predicted(body, answer, results))

    @routes.post("/v1/score", openapi_extra=described(ScoreBody))
    async def score(http: Request) -> Response:
        body = await read(http, ScoreBody, service.body_limit)
        tokenizer = (await service.prompt_spec()).tokenizer
        ids = (await service.tokens(tokenizer, [body.text]))[0]
        params = GenerationParams(0, Sampling(temperature=0.0, top_logprobs=body.top_k or 0), score_prompt=True)
        answer = service.ask(http, [[tokenizer.special(BOS), *ids]], params, model=body.model, param="text")
        return await in_one_piece(answer, lambda results: _scored(body, tokenizer, answer, results[0].prompt_scores))

    return routes


def _predicted(body: PredictBody, answer: PendingAnswer, results: list[Result]) -> dict[str, JsonValue]:
    """The first text by itself too, for that is mostly all that is asked for."""
    return {
        "task": body.task,
        "generated_text": results[0].text,
        "finish_reason": results[0].finish_reason,
        "outputs": [result.text for result in results],
        "steps": answer.generated,
        "eos_terminated": [result.ended_by == "eos" for result in results],
        "version": version_name(answer.version),
        "usage": answer.usage,
    }


def _scored(body: ScoreBody, tokenizer: Tokenizer, answer: PendingAnswer, scores: list[Scored]) -> dict[str, JsonValue]:
    """Loss and surprisal in nats; ``bits_per_byte`` compares across tokenizers."""
    total = -sum(scored.logprob for scored in scores)
    loss = total / len(scores)
    result: dict[str, JsonValue] = {
        "loss": loss,
        "perplexity": math.exp(min(loss, 700.0)),
        "bits_per_byte": total / math.log(2) / len(body.text.encode()),
        "version": version_name(answer.version),
    }
    if body.detail_level == "per_char":
        result["tokens"] = [written(tokenizer, scored.id) for scored in scores]
        result["surprisal"] = [-scored.logprob for scored in scores]
    if body.top_k is not None:
        result["topk"] = [
            [{"token": written(tokenizer, token), "logprob": logprob} for token, logprob in scored.top]
            for scored in scores
        ]
    return result

"""``/predict`` and ``/v1/score``: thord's own, for ``thorctl`` and for programs that want no chat."""

import math

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import JsonValue

from control.paths import version_name
from daemon.workers.server.answers import PendingAnswer, Result
from daemon.workers.server.api.bodies import described, read
from daemon.workers.server.api.generation import eos_ids, in_one_piece, json_answer, token_limit
from daemon.workers.server.api.logprobs import written
from daemon.workers.server.api.schemas import PredictBody, ScoreBody
from daemon.workers.server.api.tasks import answers_of, inputs_of, params_of, questions_of, task_of, without_text
from daemon.workers.server.service import InferenceService
from engine.data.tasks.task import Task
from engine.inference.requests import GenerationParams, Sampling, Scored
from engine.tasks.answering import refused
from engine.tasks.asking import Asked, Refusal
from engine.tokenizers.base import BOS, Tokenizer

DEFAULT_TOKENS = 256
"""Of a text whose length nobody names. A chat may fill the context."""


def router(service: InferenceService) -> APIRouter:
    """Make the router with the routes of this module."""
    routes = APIRouter(tags=["prediction"])

    @routes.post("/predict", openapi_extra=described(PredictBody))
    async def predict(http: Request) -> Response:
        body = await read(http, PredictBody, service.body_limit)
        task = task_of(body, service.settings.all_tasks)
        inputs = inputs_of(body)
        spec = await service.prompt_spec(body.model)
        tokenizer = spec.tokenizer
        outcomes = await questions_of(task, inputs, service, spec)
        able = [given for given, each in zip(inputs, outcomes, strict=True) if isinstance(each, Asked)]
        questions = [each for each in outcomes if isinstance(each, Asked)] + without_text(task, able, tokenizer)
        if not able:
            return json_answer(
                {
                    "task": task.name,
                    "predictions": [refused(task, each) for each in outcomes if isinstance(each, Refusal)],
                    "version": version_name(spec.version),
                    "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
                },
                spec.version,
            )
        if task.kind == "generate":
            params, copies = _params_of(body, task, service, tokenizer), body.num_return_sequences or 1
        else:
            params, copies = await params_of(task, questions, service, tokenizer), 1
        prompts = [prompt for each in questions for prompt in [each.prompt] * copies]
        answer = service.ask(http, prompts, params, model=body.model, param="input")

        def write(results: list[Result]) -> dict[str, JsonValue]:
            found: list[dict[str, JsonValue]]
            if task.kind == "generate":
                found = [_generated(task, results[at : at + copies]) for at in range(0, len(results), copies)]
            else:
                fitted = service.calibrations(answer.version)
                found = answers_of(task, able, questions, results, fitted)
            about: dict[str, JsonValue] = {"version": version_name(answer.version), "usage": answer.usage}
            if isinstance(body.input, str):
                return {**found[0], **about}
            answers = iter(found)
            every = [refused(task, each) if isinstance(each, Refusal) else next(answers) for each in outcomes]
            return {"task": task.name, "predictions": [*every], **about}

        return await in_one_piece(answer, write)

    @routes.post("/v1/score", openapi_extra=described(ScoreBody))
    async def score(http: Request) -> Response:
        body = await read(http, ScoreBody, service.body_limit)
        tokenizer = (await service.prompt_spec(body.model)).tokenizer
        ids = (await service.tokens(tokenizer, [body.text]))[0]
        params = GenerationParams(0, Sampling(temperature=0.0, top_logprobs=body.top_k or 0), score_prompt=True)
        answer = service.ask(http, [[tokenizer.special(BOS), *ids]], params, model=body.model, param="text")
        return await in_one_piece(answer, lambda results: _scored(body, tokenizer, answer, results[0].prompt_scores))

    return routes


def _params_of(body: PredictBody, task: Task, service: InferenceService, tokenizer: Tokenizer) -> GenerationParams:
    """What the engine is asked for, where a free text is."""
    asked = DEFAULT_TOKENS if body.max_tokens is None and task.name != "chat" else body.max_tokens
    return GenerationParams(
        token_limit(asked, service.settings.inference.max_tokens),
        body.sampling,
        stop=tuple(filter(None, body.stop_sequences or ())),
        eos_ids=eos_ids(tokenizer, ignore=body.stop_on_eos is False),
    )


def _generated(task: Task, results: list[Result]) -> dict[str, JsonValue]:
    """The texts of one input; the first one by itself too, for that is mostly all that is asked for."""
    return {
        "task": task.name,
        "generated_text": results[0].text,
        "finish_reason": results[0].finish_reason,
        "outputs": [result.text for result in results],
        "steps": sum(result.generated for result in results),
        "eos_terminated": [result.ended_by == "eos" for result in results],
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

"""``/v1/completions``: continue a text, or score it (``echo`` with ``logprobs``)."""

import time
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import JsonValue

from control.paths import version_name
from daemon.workers.server.answers import PendingAnswer, Result, finish_reason
from daemon.workers.server.api.bodies import described, read
from daemon.workers.server.api.generation import as_stream, chunk_usage, constraint_of, in_one_piece, params_of
from daemon.workers.server.api.logprobs import Placed, ShownTokens, written
from daemon.workers.server.api.prompts import Prompts, encoded
from daemon.workers.server.api.schemas import CompletionBody
from daemon.workers.server.service import MODEL, InferenceService
from engine.inference.requests import Delta, Finished, PromptScored, Scored
from engine.tokenizers.base import Tokenizer

DEFAULT_TOKENS = 16
"""The limit of a completion that names none, as with OpenAI and vLLM: a text, unlike a chat, need not end by itself."""


class Completion:
    """One request: its prompts, and how its choices are written."""

    def __init__(self, body: CompletionBody, prompts: Prompts, tokenizer: Tokenizer) -> None:
        self.body = body
        self.prompts, self.shown = (
            [prompt for prompt in each for _ in range(body.n or 1)] for each in (prompts.ids, prompts.shown)
        )
        self.tokenizer = tokenizer
        self.id = f"cmpl-{uuid.uuid4().hex}"
        self.created = int(time.time())

    def envelope(self, answer: PendingAnswer, choices: list[JsonValue]) -> dict[str, JsonValue]:
        """An answer, or an event of a stream, around its choices."""
        return {
            "id": self.id,
            "object": "text_completion",
            "created": self.created,
            "model": self.body.model or MODEL,
            "system_fingerprint": version_name(answer.version),
            "choices": choices,
        }

    def chunk(self, answer: PendingAnswer, choices: list[JsonValue]) -> dict[str, JsonValue]:
        """An event of a stream, unless it is the last."""
        return {**self.envelope(answer, choices), **chunk_usage(self.body, answer)}

    def choice(self, index: int, result: Result) -> dict[str, JsonValue]:
        """Describe one finished choice."""
        echoed = self.echo(index)
        choice: dict[str, JsonValue] = {
            "index": index,
            "text": echoed + result.text,
            "finish_reason": result.finish_reason,
            "logprobs": None,
        }
        if self.body.logprobs is not None:
            answer = ShownTokens(self.tokenizer)
            prompt = self.shown[index] if self.body.echo else []
            places = answer.prompt(prompt, echoed) if self.body.echo else []
            generated = answer.whole(result)
            choice["logprobs"] = self.logprobs(
                [*prompt, *(token.id for _, token in generated)],
                [*self.prompt_scores(result.prompt_scores, len(prompt)), *(token for _, token in generated)],
                [*places, *(place for place, _ in generated)],
            )
        return choice

    def echo(self, index: int) -> str:
        """The prompt's text, where it is asked for."""
        return self.tokenizer.decode(self.prompts[index]) if self.body.echo else ""

    def prompt_scores(self, scored: Sequence[Scored], shown: int) -> list[Scored | None]:
        """A score for each shown prompt token; the first one has none."""
        return [None, *scored[len(scored) - shown + 1 :]] if shown else []

    def logprobs(
        self, tokens: Sequence[int], scores: Sequence[Scored | None], places: Sequence[int]
    ) -> dict[str, JsonValue]:
        """The four lists of OpenAI."""
        return {
            "tokens": [written(self.tokenizer, token) for token in tokens],
            "token_logprobs": [None if score is None else score.logprob for score in scores],
            "top_logprobs": [self._top(score) for score in scores],
            "text_offset": [*places],
        }

    def streamed(self, tokens: Sequence[Placed]) -> JsonValue:
        """The log-probabilities of generated tokens, where they are asked for."""
        if self.body.logprobs is None:
            return None
        scores = [token for _, token in tokens]
        return self.logprobs([token.id for token in scores], scores, [place for place, _ in tokens])

    def _top(self, score: Scored | None) -> dict[str, JsonValue] | None:
        if score is None:
            return None
        top: dict[str, JsonValue] = {written(self.tokenizer, token): logprob for token, logprob in score.top}
        return {**top, written(self.tokenizer, score.id): score.logprob}


def router(service: InferenceService) -> APIRouter:
    """Make the router with the route of this module."""
    routes = APIRouter(tags=["generation"])

    @routes.post("/v1/completions", openapi_extra=described(CompletionBody))
    async def completions(http: Request) -> Response:
        body = await read(http, CompletionBody, service.body_limit)
        spec = await service.prompt_spec(body.model)
        limited = body.max_tokens is not None or body.max_completion_tokens is not None
        constraint = await constraint_of(body, service, spec)
        limit = body.token_limit if limited else DEFAULT_TOKENS
        params = params_of(body, service, spec, body.logprobs, limit, constraint)
        params = replace(params, score_prompt=bool(body.echo) and body.logprobs is not None)
        opened = body.add_special_tokens is not False
        prompts = await encoded(service, spec, body.prompt or "", "prompt", opened=opened)
        room = spec.context - min(max(params.max_tokens, 1), spec.context // 2)
        prompts = prompts.truncated(body.truncate_prompt_tokens, room)
        completion = Completion(body, prompts, spec.tokenizer)
        answer = service.ask(
            http,
            completion.prompts,
            params,
            model=body.model,
            streamed=bool(body.stream),
            seconds=body.timeout_seconds,
        )

        if body.stream:
            seconds = service.settings.api.request_timeout_seconds
            return await as_stream(http, answer, _chunks(completion, answer), seconds)

        def write(results: list[Result]) -> dict[str, JsonValue]:
            choices: list[JsonValue] = [completion.choice(index, result) for index, result in enumerate(results)]
            return {**completion.envelope(answer, choices), "usage": answer.usage}

        return await in_one_piece(answer, write)

    return routes


async def _chunks(completion: Completion, answer: PendingAnswer) -> AsyncIterator[Mapping[str, JsonValue]]:
    """Yield the events of a stream."""
    body = completion.body
    shown = [ShownTokens(completion.tokenizer) for _ in completion.prompts]
    unsaid = set(range(len(completion.prompts))) if body.echo else set()
    heard: dict[int, list[Scored]] = {}
    async for event in answer.events():
        index = event.sequence
        if isinstance(event, PromptScored):
            heard.setdefault(index, []).extend(event.tokens)
            continue
        if index in unsaid:
            unsaid.remove(index)
            prompt, text = completion.shown[index], completion.echo(index)
            logprobs: JsonValue = None
            if body.logprobs is not None:
                said = completion.prompt_scores(heard.get(index, []), len(prompt))
                logprobs = completion.logprobs(prompt, said, shown[index].prompt(prompt, text))
            yield completion.chunk(answer, [_part(index, text, logprobs, None)])
        if isinstance(event, Delta):
            ready = shown[index].add(event.text, event.tokens)
            if event.text or ready:
                yield completion.chunk(answer, [_part(index, event.text, completion.streamed(ready), None)])
        if isinstance(event, Finished):
            rest = shown[index].rest(event.ended_by)
            logprobs = completion.streamed(rest) if rest else None
            yield completion.chunk(answer, [_part(index, "", logprobs, finish_reason(event.ended_by))])
    if body.includes_usage:
        yield {**completion.envelope(answer, []), "usage": answer.usage}


def _part(index: int, text: str, logprobs: JsonValue, reason: str | None) -> dict[str, JsonValue]:
    return {"index": index, "text": text, "logprobs": logprobs, "finish_reason": reason}

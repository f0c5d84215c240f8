"""``/v1/completions``: continue a text, or score it (``echo`` with ``logprobs``)."""

import time
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import JsonValue

from daemon.workers.server.answers import Answer, Result
from daemon.workers.server.bodies import described, read
from daemon.workers.server.generation import as_stream, in_one_piece, stop_ids
from daemon.workers.server.prompts import Prompts, check_tokens, encoded
from daemon.workers.server.schemas import CompletionBody
from daemon.workers.server.service import MODEL, Service
from daemon.workers.server.tokens import Offsets, written
from engine.inference.requests import Finished, Piece, PromptScored, Scored, Wish
from engine.tokenizers.base import Tokenizer


class Completion:
    """One request: its prompts, and how its choices are written."""

    def __init__(self, body: CompletionBody, prompts: Prompts, tokenizer: Tokenizer) -> None:
        self.body = body
        self.prompts = [prompt for prompt in prompts.ids for _ in range(body.n or 1)]
        self.tokenizer = tokenizer
        self.shown_from = prompts.hidden
        self.id = f"cmpl-{uuid.uuid4().hex}"
        self.created = int(time.time())

    def envelope(self, answer: Answer, choices: list[JsonValue]) -> dict[str, JsonValue]:
        """What is around the choices, in an answer and in each event of a stream."""
        return {
            "id": self.id,
            "object": "text_completion",
            "created": self.created,
            "model": self.body.model or MODEL,
            "system_fingerprint": f"{answer.version:06d}",
            "choices": choices,
        }

    def choice(self, index: int, result: Result) -> dict[str, JsonValue]:
        """One finished choice."""
        echoed = self.echo(index)
        choice: dict[str, JsonValue] = {
            "index": index,
            "text": echoed + result.text,
            "finish_reason": result.reason,
            "logprobs": None,
        }
        if self.body.logprobs is not None:
            tokens, scores = [token.id for token in result.tokens], list[Scored | None](result.tokens)
            if self.body.echo:
                shown = self.prompts[index][self.shown_from :]
                tokens, scores = [*shown, *tokens], [*self.prompt_scores(result.prompt_scores, len(shown)), *scores]
            ended_by_text = result.reason == "stop" and bool(tokens) and tokens[-1] not in self.tokenizer.specials
            length = len(echoed + result.text) if ended_by_text else None
            choice["logprobs"] = self.logprobs(tokens, scores, Offsets(self.tokenizer), until=length)
        return choice

    def echo(self, index: int) -> str:
        """The prompt's text, where it is asked for."""
        return self.tokenizer.decode(self.prompts[index]) if self.body.echo else ""

    def prompt_scores(self, scored: Sequence[Scored], shown: int) -> list[Scored | None]:
        """A score for each shown prompt token; the first one has none."""
        return [None, *scored[len(scored) - shown + 1 :]] if shown else []

    def logprobs(
        self, tokens: Sequence[int], scores: Sequence[Scored | None], offsets: Offsets, until: int | None = None
    ) -> dict[str, JsonValue]:
        """The four lists of OpenAI; tokens that begin at ``until`` or later were cut off with a stop string."""
        places = [offsets.add(token) for token in tokens]
        kept = [i for i, place in enumerate(places) if until is None or place < until]
        return {
            "tokens": [written(self.tokenizer, tokens[i]) for i in kept],
            "token_logprobs": [None if (score := scores[i]) is None else score.logprob for i in kept],
            "top_logprobs": [self._top(scores[i]) for i in kept],
            "text_offset": [places[i] for i in kept],
        }

    def _top(self, score: Scored | None) -> dict[str, JsonValue] | None:
        if score is None:
            return None
        top: dict[str, JsonValue] = {written(self.tokenizer, token): logprob for token, logprob in score.top}
        return {**top, written(self.tokenizer, score.id): score.logprob}


def router(service: Service) -> APIRouter:
    """The route."""
    routes = APIRouter(tags=["generation"])

    @routes.post("/v1/completions", openapi_extra=described(CompletionBody))
    async def completions(http: Request) -> Response:
        body = await read(http, CompletionBody, service.body_limit)
        outline = await service.outline()
        check_tokens((int(token) for token in body.logit_bias or {}), outline.vocabulary, "logit_bias")
        completion = Completion(body, await encoded(service, outline, body.prompt or "", "prompt"), outline.tokenizer)
        wish = Wish(
            max_tokens=service.settings.inference.max_tokens if body.max_tokens is None else body.max_tokens,
            sampling=body.sampling(body.logprobs),
            stop=body.stops,
            stop_ids=stop_ids(outline.tokenizer, ignore=bool(body.ignore_eos)),
            score_prompt=bool(body.echo) and body.logprobs is not None,
        )
        answer = service.ask(
            http,
            completion.prompts,
            wish,
            model=body.model,
            streamed=bool(body.stream),
            seconds=body.timeout_seconds,
        )

        if body.stream:
            return await as_stream(answer, _chunks(completion, answer), service.settings.api.request_timeout_seconds)

        def write(results: list[Result]) -> dict[str, JsonValue]:
            choices: list[JsonValue] = [completion.choice(index, result) for index, result in enumerate(results)]
            usage = answer.usage
            return {**completion.envelope(answer, choices), "usage": usage}

        return await in_one_piece(answer, write)

    return routes


async def _chunks(completion: Completion, answer: Answer) -> AsyncIterator[Mapping[str, JsonValue]]:
    """The events of a stream."""
    body = completion.body
    offsets = [Offsets(completion.tokenizer) for _ in completion.prompts]
    unsaid = set(range(len(completion.prompts))) if body.echo else set()
    heard: dict[int, list[Scored]] = {}
    async for event in answer.events():
        index = event.sequence
        if isinstance(event, PromptScored):
            heard.setdefault(index, []).extend(event.tokens)
            continue
        if index in unsaid:
            unsaid.remove(index)
            shown = completion.prompts[index][completion.shown_from :]
            said = completion.prompt_scores(heard.get(index, []), len(shown))
            if body.logprobs is None:
                logprobs: JsonValue = None
                for token in shown:
                    offsets[index].add(token)
            else:
                logprobs = completion.logprobs(shown, said, offsets[index])
            yield completion.envelope(answer, [_part(index, completion.echo(index), logprobs, None)])
        if isinstance(event, Piece):
            scored = None
            if body.logprobs is not None:
                ids = [token.id for token in event.tokens]
                scored = completion.logprobs(ids, event.tokens, offsets[index])
            yield completion.envelope(answer, [_part(index, event.text, scored, None)])
        if isinstance(event, Finished):
            yield completion.envelope(answer, [_part(index, "", None, event.reason)])
    if body.includes_usage:
        usage = answer.usage
        yield {**completion.envelope(answer, []), "usage": usage}


def _part(index: int, text: str, logprobs: JsonValue, reason: str | None) -> dict[str, JsonValue]:
    return {"index": index, "text": text, "logprobs": logprobs, "finish_reason": reason}

"""What completions, chats and predictions share."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

from fastapi import Request
from fastapi.responses import Response
from pydantic import JsonValue

from control.paths import version_name
from daemon.workers.server import headers
from daemon.workers.server.answers import ClientGoneError, PendingAnswer, Result
from daemon.workers.server.api.prompts import check_tokens
from daemon.workers.server.api.schemas import GenerationBody
from daemon.workers.server.api.streaming import DATA, EventStream, Framing, to_json
from daemon.workers.server.service import InferenceService
from engine.inference.constraints.constraint import Constraint
from engine.inference.requests import GenerationParams
from engine.inference.versions.loaded_model import PromptSpec
from engine.tokenizers.base import Tokenizer

_NO_LIMIT = 1 << 31
"""Beyond every context."""


def token_limit(asked: int | None, ceiling: int | None) -> int:
    """Longest answer: what was asked for, at most ``inference.max_tokens``; without both the context alone ends it."""
    return min(limit for limit in (asked, ceiling, _NO_LIMIT) if limit is not None)


def params_of(
    body: GenerationBody,
    service: InferenceService,
    spec: PromptSpec,
    top_logprobs: int | None,
    limit: int | None,
    constraint: Constraint | None = None,
) -> GenerationParams:
    """What the engine is asked for: ``limit`` tokens at most, with so many ``top_logprobs`` to each.

    Raises:
        ApiError: 400, a token that is biased, or that shall end the answer, does not exist.
    """
    check_tokens((int(token) for token in body.logit_bias or {}), spec.vocabulary, "logit_bias")
    check_tokens(body.stop_token_ids or (), spec.vocabulary, "stop_token_ids")
    named = frozenset(body.stop_token_ids or ())
    return GenerationParams(
        max_tokens=token_limit(limit, service.settings.inference.max_tokens),
        sampling=body.sampling(top_logprobs, spec.defaults),
        min_tokens=body.min_tokens or 0,
        stop=body.stops,
        eos_ids=eos_ids(spec.tokenizer, ignore=bool(body.ignore_eos), named=named),
        stop_ids=named.difference(spec.tokenizer.specials),
        show_stop=bool(body.include_stop_str_in_output),
        constraint=constraint,
    )


def eos_ids(tokenizer: Tokenizer, *, ignore: bool, named: frozenset[int] = frozenset()) -> frozenset[int]:
    """The special tokens that end an answer: all, as none of them is text, or with ``ignore`` only those ``named``."""
    specials = frozenset(tokenizer.specials)
    return specials & named if ignore else specials


def chunk_usage(body: GenerationBody, answer: PendingAnswer) -> dict[str, JsonValue]:
    """What a chunk of a stream says of usage: nothing, null as in OpenAI's where the last one will say it, or it."""
    if not body.includes_usage:
        return {}
    return {"usage": answer.usage if body.counts_along else None}


async def constraint_of(body: GenerationBody, service: InferenceService, spec: PromptSpec) -> Constraint | None:
    """What the answer must look like; null where it is free.

    Raises:
        ApiError: 400, it is not understood, or costs too much.
    """
    for field, structure in body.structures:
        return await service.structures.compiled(structure, spec.tokenizer, field)
    return None


async def in_one_piece(
    answer: PendingAnswer,
    write: Callable[[list[Result]], Mapping[str, JsonValue]],
    keep: Callable[[list[Result]], Awaitable[None]] | None = None,
) -> Response:
    """Wait for all of an answer, ``keep`` it, and send it as ``write`` words it."""
    try:
        results = await answer.whole()
        if keep is not None:
            await keep(results)
        if any(result.tokens or result.prompt_scores for result in results):
            # They may be millions of log-probabilities: written in the event loop, all streams would stand meanwhile.
            return await asyncio.to_thread(lambda: json_answer(write(results), answer.version))
        return json_answer(write(results), answer.version)
    except ClientGoneError:
        return Response(status_code=499)  # nobody reads it
    finally:
        answer.close()


async def as_stream(
    http: Request,
    answer: PendingAnswer,
    chunks: AsyncIterator[Mapping[str, JsonValue]],
    seconds: float,
    framing: Framing = DATA,
) -> Response:
    """Send an answer as it is made; an error before its first token is an ordinary HTTP error."""
    begun = False
    try:
        await answer.begin()
        begun = True
        return EventStream(answer, chunks, seconds, framing, http.url.path)
    except ClientGoneError:
        return Response(status_code=499)  # nobody reads it
    finally:
        if not begun:
            answer.close()


def json_answer(body: Mapping[str, JsonValue], version: int) -> Response:
    """A JSON answer that names the version that made it."""
    return Response(to_json(body), media_type="application/json", headers={headers.VERSION: version_name(version)})

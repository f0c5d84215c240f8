"""What completions, chats and predictions share."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

from fastapi.responses import Response
from pydantic import JsonValue

from daemon.workers.server.answers import Answer, ClientGoneError, Result
from daemon.workers.server.streaming import VERSION_HEADER, EventStream, to_json
from engine.tokenizers.base import Tokenizer


def stop_ids(tokenizer: Tokenizer, *, ignore: bool) -> frozenset[int]:
    """Every special token ends an answer: none of them is text."""
    return frozenset() if ignore else frozenset(tokenizer.specials)


async def in_one_piece(
    answer: Answer,
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
            return await asyncio.to_thread(lambda: named(write(results), answer.version))
        return named(write(results), answer.version)
    except ClientGoneError:
        return Response(status_code=499)  # nobody reads it
    finally:
        answer.close()


async def as_stream(answer: Answer, chunks: AsyncIterator[Mapping[str, JsonValue]], seconds: float) -> Response:
    """Send an answer as it is made; an error before its first token is an ordinary HTTP error."""
    begun = False
    try:
        await answer.begin()
        begun = True
        return EventStream(answer, chunks, seconds)
    except ClientGoneError:
        return Response(status_code=499)  # nobody reads it
    finally:
        if not begun:
            answer.close()


def named(body: Mapping[str, JsonValue], version: int) -> Response:
    """A JSON answer that names the version that made it."""
    return Response(to_json(body), media_type="application/json", headers={VERSION_HEADER: f"{version:06d}"})

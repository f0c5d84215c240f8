"""Answers as they are made: the head waits until the version is certain, and an error is an event too."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass

from pydantic import JsonValue
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from control.paths import version_name
from daemon.workers.server import headers
from daemon.workers.server.answers import ClientGoneError, PendingAnswer
from daemon.workers.server.errors import ApiError

_LINE_ENDS = {end: f"\\u{ord(end):04x}".encode() for end in "\x85\u2028\u2029"}
"""What str.splitlines and httpx take for the end of a line, and JSON does not escape of itself."""


def to_json(value: Mapping[str, JsonValue]) -> bytes:
    """Compact JSON on one line, without NaN."""
    data = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    for end, escaped in _LINE_ENDS.items():
        data = data.replace(end.encode(), escaped)
    return data


def _as_data(event: Mapping[str, JsonValue]) -> bytes:
    return b"data: " + to_json(event) + b"\n\n"


def _as_named_event(event: Mapping[str, JsonValue]) -> bytes:
    return f"event: {event['type']}\n".encode() + _as_data(event)


def _as_line(event: Mapping[str, JsonValue]) -> bytes:
    return to_json(event) + b"\n"


@dataclass(frozen=True)
class Framing:
    """How the events of one API's streams are written.

    Attributes:
        media_type: of the whole.
        written: one event.
        end: what follows the last one, where nothing failed.
    """

    media_type: str
    written: Callable[[Mapping[str, JsonValue]], bytes]
    end: bytes = b""


DATA = Framing("text/event-stream", _as_data, b"data: [DONE]\n\n")
"""Server-sent events without names, as chats and completions of OpenAI have them."""
NAMED_EVENTS = Framing("text/event-stream", _as_named_event)
"""Server-sent events, each under the name that its ``type`` says."""
LINES = Framing("application/x-ndjson", _as_line)
"""One JSON object a line."""


class EventStream(Response):
    """An answer, event by event. `PendingAnswer.begin` must have returned.

    Args:
        path: of the request: it says how an error is worded.
    """

    def __init__(
        self,
        answer: PendingAnswer,
        chunks: AsyncIterator[Mapping[str, JsonValue]],
        seconds: float,
        framing: Framing,
        path: str,
    ) -> None:
        super().__init__(
            media_type=framing.media_type,
            headers={
                headers.VERSION: version_name(answer.version),
                "cache-control": "no-cache",
                "x-accel-buffering": "no",
            },
        )
        del self.headers["content-length"]
        self._answer = answer
        self._chunks = chunks
        self._seconds = seconds
        self._framing = framing
        self._path = path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it. A client that goes away, or reads too slowly for ``seconds``, ends it."""
        try:
            async with asyncio.timeout(self._seconds):
                await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                async for event in self._events():
                    await send({"type": "http.response.body", "body": event, "more_body": True})
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        except (ClientGoneError, TimeoutError):
            pass  # nobody to tell
        finally:
            self._answer.close()

    async def _events(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._chunks:
                yield self._framing.written(chunk)
            yield self._framing.end
        except ApiError as error:
            yield self._framing.written(error.worded_for(self._path))

"""Server-sent events: the head waits until the version is certain, every event names it, an error is an event too."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping

from pydantic import JsonValue
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from control.paths import version_name
from daemon.workers.server import headers
from daemon.workers.server.answers import ClientGoneError, PendingAnswer
from daemon.workers.server.errors import ApiError

_DONE = b"data: [DONE]\n\n"
_LINE_ENDS = {end: f"\\u{ord(end):04x}".encode() for end in "\x85\u2028\u2029"}
"""What str.splitlines and httpx take for the end of a line, and JSON does not escape of itself."""


def to_json(value: Mapping[str, JsonValue]) -> bytes:
    """Compact JSON on one line, without NaN."""
    data = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    for end, escaped in _LINE_ENDS.items():
        data = data.replace(end.encode(), escaped)
    return data


class EventStream(Response):
    """An answer, event by event. `PendingAnswer.begin` must have returned."""

    media_type = "text/event-stream"

    def __init__(self, answer: PendingAnswer, chunks: AsyncIterator[Mapping[str, JsonValue]], seconds: float) -> None:
        super().__init__(
            headers={
                headers.VERSION: version_name(answer.version),
                "cache-control": "no-cache",
                "x-accel-buffering": "no",
            }
        )
        del self.headers["content-length"]
        self._answer = answer
        self._chunks = chunks
        self._seconds = seconds

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
                yield b"data: " + to_json(chunk) + b"\n\n"
            yield _DONE
        except ApiError as error:
            yield b"data: " + json.dumps(error.body).encode() + b"\n\n"

"""Answers of one JSON object a line, as they come."""

import json
from collections.abc import AsyncIterator

from pydantic import JsonValue
from starlette.responses import StreamingResponse


class NdjsonResponse(StreamingResponse):
    """Each object is sent as soon as there is one."""

    def __init__(self, objects: AsyncIterator[dict[str, JsonValue]]) -> None:
        super().__init__(_lines(objects), media_type="application/x-ndjson")


async def _lines(objects: AsyncIterator[dict[str, JsonValue]]) -> AsyncIterator[bytes]:
    async for value in objects:
        yield json.dumps(value, ensure_ascii=False).encode() + b"\n"

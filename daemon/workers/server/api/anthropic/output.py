"""The content of an answer: its blocks, and the events that tell of them as they come.

| comes          | events                                                                    |
| -------------- | ------------------------------------------------------------------------- |
| text           | content_block_start, then content_block_delta with text_delta             |
| a call         | content_block_start, then content_block_delta with input_json_delta       |
| its end        | content_block_stop                                                        |
"""

import contextlib
import json
from collections.abc import Iterator, Sequence

from pydantic import JsonValue

from daemon.workers.server.api.tool_calls import Arguments, CallBegun, Content, Part

Event = dict[str, JsonValue]


class Blocks:
    """The blocks of one answer.

    Attributes:
        written: those that have ended.
        calls: how many of these are calls.
    """

    def __init__(self) -> None:
        self.written: list[JsonValue] = []
        self.calls = 0
        self._open: CallBegun | Content | None = None
        self._said = ""

    def add(self, parts: Sequence[Part]) -> Iterator[Event]:
        """Take in more."""
        for part in parts:
            match part:
                case Content():
                    if not isinstance(self._open, Content):
                        yield from self._begin(part, {"type": "text", "text": ""})
                    yield self._delta({"type": "text_delta", "text": part.text})
                    self._said += part.text
                case CallBegun():
                    block: Event = {"type": "tool_use", "id": part.id, "name": part.name, "input": {}}
                    yield from self._begin(part, block)
                case Arguments():
                    yield self._delta({"type": "input_json_delta", "partial_json": part.text})
                    self._said += part.text

    def end(self) -> Iterator[Event]:
        """The block that is open has ended."""
        if self._open is None:
            return
        yield {"type": "content_block_stop", "index": len(self.written)}
        if isinstance(self._open, CallBegun):
            self.calls += 1
            call: Event = {"id": self._open.id, "name": self._open.name, "input": _opened(self._said)}
            self.written.append({"type": "tool_use", **call})
        else:
            self.written.append({"type": "text", "text": self._said})
        self._open, self._said = None, ""

    def _begin(self, opened: CallBegun | Content, block: Event) -> Iterator[Event]:
        yield from self.end()
        self._open = opened
        yield {"type": "content_block_start", "index": len(self.written), "content_block": block}

    def _delta(self, delta: Event) -> Event:
        return {"type": "content_block_delta", "index": len(self.written), "delta": delta}


def _opened(arguments: str) -> JsonValue:
    """Arguments as an object; those that were cut off say nothing."""
    with contextlib.suppress(ValueError, RecursionError):
        opened: JsonValue = json.loads(arguments)
        return opened
    return {}

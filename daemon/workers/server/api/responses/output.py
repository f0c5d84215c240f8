"""The output of a response: its items, and the events that tell of them as they come.

| comes               | events                                                                       |
| ------------------- | ---------------------------------------------------------------------------- |
| text                | output_item.added, content_part.added, then output_text.delta for each piece |
| the end of the text | output_text.done, content_part.done, output_item.done                        |
| a call              | output_item.added, then function_call_arguments.delta for each piece         |
| its end             | function_call_arguments.done, output_item.done                               |
"""

from collections.abc import Iterator, Sequence
from typing import Literal

from pydantic import JsonValue

from daemon.workers.server.api.responses.asking import item_id
from daemon.workers.server.api.tool_calls import Arguments, CallBegun, Content, Part

Happening = dict[str, JsonValue]
Status = Literal["completed", "incomplete"]


class Output:
    """The items of one response.

    Attributes:
        items: those that have ended.
    """

    def __init__(self, number: str) -> None:
        self.items: list[JsonValue] = []
        self._number = number
        self._call: CallBegun | None = None
        self._has_text = False
        self._said = ""
        self._logprobs: list[JsonValue] = []
        self._waiting: list[JsonValue] = []

    def add(self, parts: Sequence[Part], logprobs: Sequence[JsonValue] = ()) -> Iterator[Happening]:
        """Take in more, with the log-probabilities of its tokens."""
        self._waiting += logprobs
        for part in parts:
            match part:
                case Content():
                    if not self._has_text:
                        yield from self.end("completed")
                        yield from self._begin_text()
                    self._said += part.text
                    told, self._waiting = self._waiting, []
                    self._logprobs += told
                    yield self._of_text("delta", delta=part.text, logprobs=[*told])
                case CallBegun():
                    self._waiting = []  # none are told of calls
                    yield from self.end("completed")
                    self._call = part
                    yield self._of_item("added", self._written("in_progress"))
                case Arguments():
                    self._said += part.text
                    yield self._of_arguments("delta", delta=part.text)

    def end(self, status: Status) -> Iterator[Happening]:
        """The item that is open has ended."""
        if self._has_text:
            self._logprobs += self._waiting
            yield self._of_text("done", text=self._said, logprobs=[*self._logprobs])
            yield self._of_part("done", self._text_part())
        elif self._call is not None:
            yield self._of_arguments("done", arguments=self._said, name=self._call.name)
        else:
            return
        item = self._written(status)
        yield self._of_item("done", item)
        self.items.append(item)
        self._has_text, self._call, self._said, self._logprobs, self._waiting = False, None, "", [], []

    def finish(self, status: Status) -> Iterator[Happening]:
        """All has ended. An answer without a word is a message too."""
        if not (self.items or self._has_text or self._call):
            yield from self._begin_text()
        yield from self.end(status)

    def _begin_text(self) -> Iterator[Happening]:
        self._has_text = True
        yield self._of_item("added", {**self._written("in_progress"), "content": []})
        yield self._of_part("added", self._text_part())

    @property
    def _id(self) -> str:
        return item_id("fc" if self._call else "msg", self._number, len(self.items))

    def _written(self, status: str) -> dict[str, JsonValue]:
        if self._call is None:
            content = [self._text_part()]
            return {"id": self._id, "type": "message", "status": status, "role": "assistant", "content": content}
        call: dict[str, JsonValue] = {"call_id": self._call.id, "name": self._call.name, "arguments": self._said}
        return {"id": self._id, "type": "function_call", "status": status, **call}

    def _text_part(self) -> JsonValue:
        return {"type": "output_text", "text": self._said, "annotations": [], "logprobs": [*self._logprobs]}

    def _of_item(self, what: str, item: JsonValue) -> Happening:
        return {"type": f"response.output_item.{what}", "output_index": len(self.items), "item": item}

    def _of_part(self, what: str, part: JsonValue) -> Happening:
        return {**self._place(f"response.content_part.{what}"), "content_index": 0, "part": part}

    def _of_text(self, what: str, **said: JsonValue) -> Happening:
        return {**self._place(f"response.output_text.{what}"), "content_index": 0, **said}

    def _of_arguments(self, what: str, **said: JsonValue) -> Happening:
        return {**self._place(f"response.function_call_arguments.{what}"), **said}

    def _place(self, kind: str) -> Happening:
        return {"type": kind, "item_id": self._id, "output_index": len(self.items)}

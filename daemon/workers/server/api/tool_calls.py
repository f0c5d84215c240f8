"""Calls to tools in what a model writes, read as it comes: what is content, which tool is called, with what arguments.

| in           | comes                         | is                                                    |
| ------------ | ----------------------------- | ----------------------------------------------------- |
| content      | text                          | content, unless it may be the beginning of a call     |
|              | the head of a call to a tool  | a call; white space before it belongs to neither      |
| arguments    | JSON, up to its closing brace | arguments                                             |
| the tail     | the rest of the call          | nothing                                               |

An answer that is cut in the middle of arguments has a call with those that there are.
"""

import contextlib
import json
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from pydantic import JsonValue

from engine.data.samples import Message, ToolCall
from engine.tokenizers.call_form import CallForm


@dataclass(frozen=True)
class Content:
    """Text that is no call."""

    text: str


@dataclass(frozen=True)
class CallBegun:
    """A call to the tool ``name``; ``index`` counts calls."""

    index: int
    id: str
    name: str


@dataclass(frozen=True)
class Arguments:
    """More of the arguments of call ``index``."""

    index: int
    text: str


Part = Content | CallBegun | Arguments


class CallReader:
    """One answer.

    Attributes:
        calls: how many have begun.
    """

    def __init__(self, form: CallForm, names: Iterable[str]) -> None:
        self._form = form
        self._heads = {form.head(name): name for name in names}
        self._held = ""
        self._begins_line = True
        self.calls = 0
        self._arguments: _Braces | None = None
        self._tail = ""

    def push(self, text: str) -> list[Part]:
        """What more text is, as far as that is certain."""
        if not self._heads:
            return [Content(text)] if text else []
        self._held += text
        parts: list[Part] = []
        while self._held and (self._skip_tail() or self._read_arguments(parts) or self._read_content(parts)):
            pass
        return parts

    def finish(self) -> list[Part]:
        """What was held back: no more text comes."""
        held, self._held = self._held, ""
        is_content = held and self._arguments is None and not (self.calls and not held.strip())
        return [Content(held)] if is_content else []

    def _skip_tail(self) -> bool:
        if not self._tail:
            return False
        same = next((n for n, (one, two) in enumerate(zip(self._held, self._tail, strict=False)) if one != two), None)
        length = min(len(self._held), len(self._tail)) if same is None else same
        self._held = self._held[length:]
        self._tail = self._tail[length:] if same is None else ""
        return True

    def _read_arguments(self, parts: list[Part]) -> bool:
        if self._arguments is None:
            return False
        end = self._arguments.end(self._held)
        taken = self._held[:end]
        self._held = self._held[len(taken) :]
        if taken:
            parts.append(Arguments(self.calls - 1, taken))
        if end is not None:
            self._arguments, self._tail, self._begins_line = None, self._form.tail, True
        return True

    def _read_content(self, parts: list[Part]) -> bool:
        """Take content up to the next call, or to what may become one. False: nothing is certain."""
        found = min(((place, head) for head in self._heads if (place := self._first(head)) is not None), default=None)
        if found is not None:
            place, head = found
            self._say(self._held[:place].rstrip(), parts)
            parts.append(CallBegun(self.calls, f"call_{uuid.uuid4().hex[:24]}", self._heads[head]))
            self._held = self._held[place + len(head) :]
            self.calls += 1
            self._arguments = _Braces()
            return True
        certain = self._certain()
        self._say(self._held[:certain], parts)
        self._held = self._held[certain:]
        return False

    def _say(self, text: str, parts: list[Part]) -> None:
        if text:  # it ends in no white space
            parts.append(Content(text))
            self._begins_line = False

    def _first(self, head: str) -> int | None:
        """Where a call begins with ``head``."""
        place = self._held.find(head)
        while place >= 0 and not self._may_begin(place):
            place = self._held.find(head, place + 1)
        return place if place >= 0 else None

    def _certain(self) -> int:
        """How much of what is held cannot be the beginning of a call, nor the white space before one."""
        longest = max(map(len, self._heads), default=0)
        for place in range(max(len(self._held) - longest, 0), len(self._held)):
            rest = self._held[place:]
            if self._may_begin(place) and any(head.startswith(rest) for head in self._heads):
                return len(self._held[:place].rstrip())
        return len(self._held.rstrip())

    def _may_begin(self, place: int) -> bool:
        return bool(self._form.opens) or (self._held[place - 1] == "\n" if place else self._begins_line)


class _Braces:
    """Finds the end of a JSON object."""

    def __init__(self) -> None:
        self._depth = 0
        self._in_string = False
        self._escaped = False

    def end(self, text: str) -> int | None:
        """The place after the object's last brace; None: it goes on after the text."""
        for place, character in enumerate(text, 1):
            if self._escaped:
                self._escaped = False
            elif self._in_string:
                self._escaped = character == "\\"
                self._in_string = character != '"'
            elif character == '"':
                self._in_string = True
            elif character in "{[":
                self._depth += 1
            elif character in "}]":
                self._depth -= 1
                if not self._depth:
                    return place
        return None


@dataclass
class Said:
    """An answer put together: its content, and its calls."""

    content: str = ""
    calls: list[CallBegun] = field(default_factory=list)
    arguments: list[str] = field(default_factory=list)

    def add(self, parts: Sequence[Part]) -> None:
        """Take in more of it."""
        for part in parts:
            match part:
                case Content():
                    self.content += part.text
                case CallBegun():
                    self.calls.append(part)
                    self.arguments.append("")
                case Arguments():
                    self.arguments[part.index] += part.text

    @property
    def message(self) -> Message:
        """The same as it is learned."""
        named = zip(self.calls, self.arguments, strict=True)
        return Message(
            "assistant", self.content, tuple(ToolCall(call.name, _opened(text), call.id) for call, text in named)
        )

    @property
    def written_calls(self) -> list[JsonValue]:
        """The calls as OpenAI's API has them."""
        named = zip(self.calls, self.arguments, strict=True)
        return [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": text}}
            for call, text in named
        ]


def delta_of(part: Part) -> dict[str, JsonValue]:
    """A part as the delta of a chunk."""
    match part:
        case Content():
            return {"content": part.text}
        case CallBegun():
            begun: dict[str, JsonValue] = {"name": part.name, "arguments": ""}
            return {"tool_calls": [{"index": part.index, "id": part.id, "type": "function", "function": begun}]}
        case Arguments():
            return {"tool_calls": [{"index": part.index, "function": {"arguments": part.text}}]}


def _opened(arguments: str) -> JsonValue:
    with contextlib.suppress(ValueError, RecursionError):
        opened: JsonValue = json.loads(arguments)
        return opened
    return arguments

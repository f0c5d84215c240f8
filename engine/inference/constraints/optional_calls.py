"""Text in which calls to tools may begin: free until one has, and from there on held to their structure.

| the form of calls | a call has begun with                                                                    |
| ----------------- | ---------------------------------------------------------------------------------------- |
| with a mark       | the mark, anywhere                                                                       |
| without one       | a line that is the head of a call to one of the tools, up to its arguments: other JSON   |
|                   | stays text                                                                               |
"""

from collections.abc import Sequence
from typing import Protocol

from engine.inference.constraints.calls import CallsStructure
from engine.inference.constraints.constraint import Allowed, Progress
from engine.inference.constraints.masks import MaskThreads, ThreadedMask

_LINE_END = b"\n"


class Following(Progress, Protocol):
    """A way through a structure that can begin in the middle of a token."""

    def consume_bytes(self, data: bytes) -> bool:
        """Go on by bytes, however tokens cut them. False: the structure does not allow them."""
        ...


class Followed(Protocol):
    """A compiled structure."""

    def matcher(self) -> Following:
        """A new way through it."""
        ...


class OptionalCalls:
    """Implements `engine.inference.constraints.constraint.Constraint`."""

    def __init__(
        self, structure: CallsStructure, compiled: Followed, table: Sequence[bytes], threads: MaskThreads
    ) -> None:
        """``table`` holds the bytes of each token."""
        form = structure.form
        marks = [form.opens.rstrip()] if form.opens else [form.head(tool.name) for tool in structure.tools]
        self._marks = [mark.encode() for mark in marks]
        self._begin_lines = not form.opens
        self._compiled = compiled
        self._table = table
        self._threads = threads

    def begin(self) -> ThreadedMask:
        """As the Protocol."""
        return self._threads.mask(_Text(self._compiled, self._table, self._marks, begin_lines=self._begin_lines), None)


class _Text:
    """Implements `engine.inference.constraints.constraint.Progress`."""

    def __init__(
        self, compiled: Followed, table: Sequence[bytes], marks: Sequence[bytes], *, begin_lines: bool
    ) -> None:
        self._compiled = compiled
        self._table = table
        self._marks = marks
        self._begin_lines = begin_lines
        self._kept = max(map(len, marks)) + 1
        self._seen = _LINE_END
        self._calls: Following | None = None

    def consume(self, token: int) -> None:
        """As the Protocol."""
        if self._calls is not None:
            self._calls.consume(token)
            return
        self._seen += self._table[token]
        begun = self._begun()
        if begun:
            calls = self._compiled.matcher()
            if calls.consume_bytes(begun):
                self._calls = calls
                return
        self._seen = self._seen[-self._kept :]

    def allowed(self) -> Allowed | None:
        """As the Protocol."""
        return None if self._calls is None else self._calls.allowed()

    def _begun(self) -> bytes:
        """What is there of calls; nothing where none has begun."""
        for mark in self._marks:
            place = self._seen.find(mark)
            if place >= 0 and (not self._begin_lines or self._seen[place - 1 : place] == _LINE_END):
                return self._seen[place:]
        return b""

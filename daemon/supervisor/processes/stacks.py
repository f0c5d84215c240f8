"""Stacks of threads, as Python's faulthandler prints them into a worker's output, put together: one entry a thread.

faulthandler prints the innermost call first and one line for each; here the outermost comes first, as in a traceback.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath

_HEAD = re.compile(rb"^(?:Current thread|Thread) 0x([0-9a-f]+).*\(most recent call first\):$")
_FRAME = re.compile(rb'^  File "(.*)", line (\d+) in (.*)$')


@dataclass(frozen=True)
class StackEntry:
    """One entry of the log: a line as it was printed, or the stack of a thread."""

    text: str
    is_stack: bool = False


class Stacks:
    """Takes the lines of one stream, in order, and gives entries of the log."""

    def __init__(self) -> None:
        self._thread = ""
        self._calls: list[str] = []

    def take(self, line: bytes) -> Iterator[StackEntry]:
        """The entries that are complete with this line."""
        if self._thread and (frame := _FRAME.match(line)):
            file, number, name = (part.decode(errors="backslashreplace") for part in frame.groups())
            self._calls.insert(0, f"{name} ({PurePath(file).name}:{number})")
            return
        yield from self.end()
        if head := _HEAD.match(line):
            self._thread = head[1].decode()
        else:
            yield StackEntry(line.decode(errors="backslashreplace"))

    def end(self) -> Iterator[StackEntry]:
        """The stack that was being read, if there is one."""
        if self._thread:
            yield StackEntry(f"thread 0x{self._thread} was in {' > '.join(self._calls)}", is_stack=True)
        self._thread, self._calls = "", []

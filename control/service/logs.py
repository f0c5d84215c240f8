"""Reading thord's logs: the last lines of several files in the order of time, and what is added, through rotation."""

from __future__ import annotations

import contextlib
import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from control import errors
from control.terminal import output

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from control.answers import Json

_BLOCK = 1 << 16
_POLL_SECONDS = 0.2
_KNOWN = frozenset({"at", "level", "event", "process", "logger", "exception", "stack"})


class Line(NamedTuple):
    """One line of a log.

    Attributes:
        at: its ISO time; that of the line before, where it is not JSON (a traceback of the interpreter).
        process: the log it is from.
        text: as it is in the file.
    """

    at: str
    process: str
    text: str


class Logs:
    """Several logs at a moment: the lines before it and those after it, none twice and none left out.

    Raises:
        NotPermittedError: a log may not be read.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self._tails = [_Tail(file) for file in files]

    def last(self, count: int) -> list[Line]:
        """The last ``count`` lines of all files together, in the order of time."""
        lines = [line for tail in self._tails for line in _dated(tail.before(count), tail.file.stem)]
        return sorted(lines, key=lambda line: line.at)[-count:] if count else []

    def follow(self) -> Iterator[Line]:
        """Lines as they are added to any of the files, endlessly. Files may be rotated, or not exist yet."""
        while True:
            news = [line for tail in self._tails for line in _dated(tail.read(), tail.file.stem)]
            yield from sorted(news, key=lambda line: line.at)
            if not news:
                time.sleep(_POLL_SECONDS)


def for_people(line: Line) -> str:
    """A line as words: time, level, process, what happened, and the figures that go with it."""
    try:
        entry: dict[str, Json] = json.loads(line.text)
        known = {name: entry.get(name) for name in _KNOWN}
    except (ValueError, AttributeError):
        return f"{'':19}  {'':8}  {line.process:<9}  {output.clean(line.text)}"
    level = str(known["level"] or "")
    figures = "  ".join(f"{name}={_short(value)}" for name, value in entry.items() if name not in _KNOWN)
    text = (
        f"{output.moment(line.at)}  {output.paint_state(level)}{'':{max(0, 8 - len(level))}}  {line.process:<9}  "
        f"{output.clean(known['event'] or '')}"
    )
    trace = "".join(f"\n    {output.clean(part)}" for part in str(known["exception"] or "").splitlines())
    return f"{text}  {output.paint(figures, 'dim')}{trace}" if figures else f"{text}{trace}"


class _Tail:
    """One file that grows. Its moment is the end of the last line that was complete when it was opened."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._descriptor: int | None = None
        self._rest = b""
        self._open()
        self._moment = self._last_line_end() if self._descriptor is not None else 0

    def before(self, count: int) -> list[str]:
        """The last lines before the moment, filled up from the last rotated copy. Call it before `read`."""
        lines = _last_of(self._descriptor, self._moment, count) if self._descriptor is not None else []
        if len(lines) < count:
            with _opened(self.file.with_name(f"{self.file.name}.1")) as rotated:
                if rotated is not None:
                    lines = _last_of(rotated, os.fstat(rotated).st_size, count - len(lines)) + lines
        return [line.decode(errors="replace") for line in lines]

    def read(self) -> list[str]:
        """Complete lines added since the last time."""
        lines = self._read_open()
        if self._was_replaced():
            lines += self._read_open()
            self._close()
            self._open()
            lines += self._read_open()
        return lines

    def _open(self) -> None:
        self._descriptor = _open(self.file)

    def _last_line_end(self) -> int:
        """Go to the end of the last complete line; where it is."""
        descriptor = self._descriptor or 0
        end = os.fstat(descriptor).st_size
        block = os.pread(descriptor, _BLOCK, max(0, end - _BLOCK))
        return os.lseek(descriptor, end - (len(block) - 1 - block.rfind(b"\n")), os.SEEK_SET)

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
            self._rest = b""

    def _was_replaced(self) -> bool:
        """Whether the name stands for another file now, or for this one cut short."""
        try:
            named = self.file.stat()
        except FileNotFoundError:
            return False
        if self._descriptor is None:
            return True
        ours = os.fstat(self._descriptor)
        cut = ours.st_size < os.lseek(self._descriptor, 0, os.SEEK_CUR)
        return cut or (named.st_dev, named.st_ino) != (ours.st_dev, ours.st_ino)

    def _read_open(self) -> list[str]:
        if self._descriptor is None:
            return []
        *lines, self._rest = (self._rest + self._read_all(self._descriptor)).split(b"\n")
        return [line.decode(errors="replace") for line in lines]

    def _read_all(self, descriptor: int) -> bytes:
        blocks = []
        while block := os.read(descriptor, _BLOCK):
            blocks.append(block)
        return b"".join(blocks)


def _last_of(descriptor: int, end: int, count: int) -> list[bytes]:
    """The last lines of a file before ``end``."""
    position, found = end, b""
    while position and found.count(b"\n") <= count:
        step = min(_BLOCK, position)
        position -= step
        found = os.pread(descriptor, step, position) + found
    return found.removesuffix(b"\n").split(b"\n")[-count:] if found and count else []


def _open(file: Path) -> int | None:
    try:
        return os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except PermissionError as error:
        raise _forbidden(file) from error


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[int | None]:
    descriptor = _open(file)
    try:
        yield descriptor
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _dated(lines: Sequence[str], process: str) -> Iterator[Line]:
    at = ""
    for text in lines:
        at = _time_of(text) or at
        yield Line(at, process, text)


def _time_of(text: str) -> str | None:
    try:
        entry: Json = json.loads(text)
    except ValueError:
        return None
    at = entry.get("at") if isinstance(entry, dict) else None
    return at if isinstance(at, str) else None


def _short(value: Json) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else value if isinstance(value, str) else json.dumps(value)
    return output.clean(text)


def _forbidden(file: Path) -> errors.NotPermittedError:
    return errors.NotPermittedError(f"this user may not read {file}; become a member of its group, or use sudo")

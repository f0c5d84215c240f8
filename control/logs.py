"""Reading thord's logs: the last lines of several files in the order of time, and what is added, through rotation."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from control import errors, output

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from control.answers import Json

_BLOCK = 1 << 16
_POLL_SECONDS = 0.2
_KNOWN = frozenset({"at", "level", "event", "process", "logger", "exception", "stack"})


class Line(NamedTuple):
    """One line of a log.

    Attributes:
        at: its ISO time; that of the line before, where it is no JSON (a traceback of the interpreter).
        process: the log it is from.
        text: as it is in the file.
    """

    at: str
    process: str
    text: str


def last_lines(files: Sequence[Path], count: int) -> list[Line]:
    """The last ``count`` lines of all files together, in the order of time.

    Raises:
        NotPermittedError: a log may not be read.
    """
    lines: list[Line] = []
    for file in files:
        lines.extend(_dated(_tail(file, count), file.stem))
    return sorted(lines, key=lambda line: line.at)[-count:] if count else []


def follow(files: Sequence[Path]) -> Iterator[Line]:
    """Lines as they are added to any of the files, from now on, for ever. Files may be rotated, or not exist yet."""
    tails = [_Tail(file) for file in files]
    while True:
        news = [line for tail in tails for line in _dated(tail.read(), tail.file.stem)]
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
    """The end of one file that grows."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._descriptor: int | None = None
        self._rest = b""
        self._open(from_start=False)

    def read(self) -> list[str]:
        """Complete lines added since the last time."""
        lines = self._read_open()
        if self._was_replaced():
            lines += self._read_open()
            self._close()
            self._open(from_start=True)
            lines += self._read_open()
        return lines

    def _open(self, *, from_start: bool) -> None:
        try:
            self._descriptor = os.open(self.file, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        except PermissionError as error:
            raise _forbidden(self.file) from error
        if not from_start:
            os.lseek(self._descriptor, 0, os.SEEK_END)

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


def _tail(file: Path, count: int) -> list[str]:
    """The last lines of a file, and of its last rotated copy where it is too short."""
    lines = _last_of(file, count)
    if len(lines) < count:
        lines = _last_of(file.with_name(f"{file.name}.1"), count - len(lines)) + lines
    return [line.decode(errors="replace") for line in lines]


def _last_of(file: Path, count: int) -> list[bytes]:
    try:
        stream = file.open("rb")
    except FileNotFoundError:
        return []
    except PermissionError as error:
        raise _forbidden(file) from error
    with stream:
        position, found = stream.seek(0, os.SEEK_END), b""
        while position and found.count(b"\n") <= count:
            step = min(_BLOCK, position)
            position -= step
            stream.seek(position)
            found = stream.read(step) + found
    return found.removesuffix(b"\n").split(b"\n")[-count:] if found and count else []


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

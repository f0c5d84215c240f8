"""The log of one run, through rotation: its last lines, and what follows a position, ``INODE:OFFSET``."""

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_BLOCK = 1 << 18
"""Bytes that are read at once; a line that is longer is told in parts."""
_FARTHEST = 8 << 20
"""Bytes from the end, in which the last lines are looked for."""
_POSITION = re.compile(r"(?P<inode>[0-9]{1,20}):(?P<offset>[0-9]{1,18})")


@dataclass(frozen=True, slots=True)
class Position:
    """A place between two lines: in which file, and behind how many of its bytes."""

    inode: int
    offset: int

    def __str__(self) -> str:
        return f"{self.inode}:{self.offset}"


def position(text: str) -> Position | None:
    """The position that a client names; null where it is none."""
    found = _POSITION.fullmatch(text)
    return None if found is None else Position(int(found["inode"]), int(found["offset"]))


@dataclass(frozen=True, slots=True)
class Chunk:
    """Lines, each with the position behind it; and where what follows them begins.

    Attributes:
        more: something follows already.
    """

    lines: tuple[tuple[Position, bytes], ...]
    end: Position | None
    more: bool


class LogFile:
    """The file ``path``, and those that it was rotated to: ``path.1`` is newer than ``path.2``."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def state(self) -> tuple[int, int]:
        """Inode and size of the newest file; zeros where there is none."""
        try:
            about = self._path.stat()
        except OSError:
            return 0, 0
        return about.st_ino, about.st_size

    def after(self, start: Position | None) -> Chunk:
        """The lines after a position; from the oldest file on where it is null, or its file is gone."""
        files = self._files()
        inodes = [inode for inode, _ in files]
        at = inodes.index(start.inode) if start is not None and start.inode in inodes else 0
        offset = start.offset if start is not None and start.inode in inodes else 0
        for number in range(at, len(files)):
            inode, path = files[number]
            with contextlib.suppress(OSError):
                data = _read(path, inode, offset)
                cut = data.rfind(b"\n") + 1
                if not cut and len(data) == _BLOCK:
                    cut = len(data)
                if cut:
                    lines = tuple(_placed(inode, offset, data[:cut]))
                    return Chunk(lines, Position(inode, offset + cut), more=True)
                if number == len(files) - 1:
                    return Chunk((), Position(inode, offset), more=False)
            offset = 0
        return Chunk((), start, more=False)

    def end(self) -> Position | None:
        """Behind the last whole line; null where there is no file."""
        for inode, path in reversed(self._files()):
            with contextlib.suppress(OSError):
                return Position(inode, _last_line_end(path))
        return None

    def tail(self, count: int) -> Chunk:
        """The last ``count`` lines."""
        found: list[tuple[Position, bytes]] = []
        for inode, path in reversed(self._files()):
            with contextlib.suppress(OSError):
                found = [*_last_lines(path, inode, count - len(found)), *found]
            if len(found) >= count:
                break
        return Chunk(tuple(found), found[-1][0] if found else self.end(), more=False)

    def _files(self) -> list[tuple[int, Path]]:
        """Inodes and paths, the oldest first."""
        found: list[tuple[int, int, Path]] = []
        for path in (self._path, *self._path.parent.glob(f"{self._path.name}.*")):
            suffix = path.name.removeprefix(self._path.name).removeprefix(".")
            if suffix == "" or suffix.isdecimal():
                with contextlib.suppress(OSError):
                    found.append((int(suffix or 0), path.stat().st_ino, path))
        return [(inode, path) for _, inode, path in sorted(found, reverse=True)]


def _read(path: Path, inode: int, offset: int) -> bytes:
    """Some bytes of the file of that inode.

    Raises:
        OSError: it is another file now.
    """
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_ino != inode:
            raise FileNotFoundError(path)
        return os.pread(file.fileno(), _BLOCK, offset)


def _placed(inode: int, offset: int, data: bytes) -> Iterator[tuple[Position, bytes]]:
    """Each line, without its end, with the position behind it."""
    start = 0
    while start < len(data):
        end = data.find(b"\n", start) + 1 or len(data)
        yield Position(inode, offset + end), data[start:end].rstrip(b"\r\n")
        start = end


def _last_line_end(path: Path) -> int:
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        while size:
            start = max(size - _BLOCK, 0)
            cut = os.pread(file.fileno(), size - start, start).rfind(b"\n")
            if cut >= 0:
                return start + cut + 1
            size = start
    return 0


def _last_lines(path: Path, inode: int, count: int) -> list[tuple[Position, bytes]]:
    end = _last_line_end(path)
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_ino != inode:
            raise FileNotFoundError(path)
        start, data = end, b""
        while start and data.count(b"\n") <= count and end - start < _FARTHEST:
            begin = max(start - _BLOCK, 0)
            data = os.pread(file.fileno(), start - begin, begin) + data
            start = begin
    if start:  # the first line may be cut
        cut = data.find(b"\n") + 1
        start, data = start + cut, data[cut:]
    return list(_placed(inode, start, data))[-count:] if count > 0 else []

"""Append-only files with the text of every sample: one canonical form a line, found again by its location."""

import contextlib
import itertools
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

from engine import disk
from engine.data.canonical import from_canonical
from engine.data.samples import Sample

_NAME = re.compile(r"(\d{6})\.jsonl")
_BLOCK = 1 << 16
_AHEAD = 2 << 20
"""So many bytes are handed to the disk at once, so that `sync` finds most of them written."""


class Location(NamedTuple):
    """``length`` bytes at ``offset`` of one segment, line end not counted."""

    segment: int
    offset: int
    length: int


class DamagedSegmentError(Exception):
    """What lies at a location is not what was written there; the message names file and offset."""


class Segments:
    """The segment files of one folder, with a single writer.

    What `append` took is on disk once `sync` returned; a location must not be recorded before that. A line that a crash
    cut short is cut off when the segment is opened again; whole lines that nobody recorded do no harm.

    Attributes:
        waiting_bytes: what was appended since the last `sync`; some of it may be on its way to the disk.
    """

    def __init__(self, folder: Path, segment_bytes: int = 64 << 20) -> None:
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._descriptor: int | None = None
        self._number = 0
        self._end = 0
        self._waiting: list[bytes] = []
        self._written = 0
        self.waiting_bytes = 0

    def append(self, sample: Sample) -> Location:
        """Take one sample; it is written by `sync`.

        Raises:
            OSError: a new segment is due and cannot be made.
        """
        [location] = self.append_all([sample.canonical.encode()])
        return location

    def append_all(self, canonicals: Sequence[bytes]) -> list[Location]:
        """Take the canonical forms of samples, as `append` does. Where they are many the disk begins to write them.

        Raises:
            OSError: as `append`, or the disk is full or cannot be written.
        """
        if self._descriptor is None or (self._end >= self._segment_bytes and not self.waiting_bytes):
            self._open()
        end = self._end + self.waiting_bytes
        locations: list[Location] = []
        for canonical in canonicals:
            locations.append(Location(self._number, end, len(canonical)))
            end += len(canonical) + 1
        self._waiting += (b"\n".join(canonicals), b"\n")
        self.waiting_bytes = end - self._end
        if self.waiting_bytes - self._written >= _AHEAD and self._descriptor is not None:
            start = self._end + self._written
            self._write(self._descriptor)
            disk.begin_to_write(self._descriptor, start, self._end + self._written - start)
        return locations

    def sync(self) -> None:
        """Put everything appended on disk. Where that fails nothing of it was appended.

        Raises:
            OSError: the disk is full or cannot be written.
        """
        if self._descriptor is None or not self.waiting_bytes:
            return
        try:
            self._write(self._descriptor)
            os.fdatasync(self._descriptor)
        except OSError:
            self.close()  # what was half written is cut off when the segment is opened again
            raise
        self._end += self._written
        self._written = self.waiting_bytes = 0

    def rollback(self) -> None:
        """Forget what was appended since the last `sync`."""
        if self._written:  # another open one ends where this one did
            self.close()
        else:
            self._forget()

    def close(self) -> None:
        """Let go of the open segment, and forget what was appended since the last `sync`."""
        if self._written and self._descriptor is not None:
            with contextlib.suppress(OSError):  # then it stays there as lines that nobody recorded
                os.ftruncate(self._descriptor, self._end)
        self._forget()
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def read(self, location: Location) -> Sample:
        """The sample at a location.

        Raises:
            DamagedSegmentError: it cannot be read, or is not a sample.
        """
        try:
            return from_canonical(self.raw(location).decode())
        except (ValueError, KeyError, TypeError) as error:
            path = self._path(location.segment)
            raise DamagedSegmentError(f"{path} at byte {location.offset}: {error}") from error

    def raw(self, location: Location) -> bytes:
        """What lies at a location: the canonical form of a sample, in UTF-8.

        Raises:
            DamagedSegmentError: it cannot be read.
        """
        path = self._path(location.segment)
        try:
            with path.open("rb") as file:
                file.seek(location.offset)
                return file.read(location.length)
        except OSError as error:
            raise DamagedSegmentError(f"{path} at byte {location.offset}: {error}") from error

    def erase_all_but(self, kept: Iterable[Location]) -> int:
        """Overwrite with blanks, on disk, whatever does not lie at these locations; how many bytes that were.

        What is kept stays where it is. Blanks are left alone, so that doing it again costs little.

        Args:
            kept: every location that anybody knows, in order.

        Raises:
            OSError: the disk cannot be written; what is erased by then stays so.
        """
        left = self._numbers()
        erased = 0
        for number, locations in itertools.groupby(kept, key=lambda location: location.segment):
            left = [other for other in left if other != number]
            erased += self._erase(number, locations)
        return erased + sum(self._erase(number, ()) for number in left)

    def _write(self, descriptor: int) -> None:
        """Hand everything that waits in memory to the system."""
        data, start = b"".join(self._waiting), self._end + self._written
        self._waiting, self._written = [], self.waiting_bytes  # also where it fails: a part of it may be there
        _write_all(descriptor, data, start)

    def _forget(self) -> None:
        self._waiting, self._written, self.waiting_bytes = [], 0, 0

    def _erase(self, segment: int, kept: Iterable[Location]) -> int:
        """Blank what lies between the lines to keep, and behind them; one that is not there has nothing to blank."""
        if not (path := self._path(segment)).exists():
            return 0
        erased = end = 0
        with path.open("r+b") as file:
            for location in kept:
                erased += _blank(file, end, location.offset)
                end = max(end, location.offset + location.length + 1)
            erased += _blank(file, end, file.seek(0, os.SEEK_END))
            file.flush()
            os.fdatasync(file.fileno())
        return erased

    def _open(self) -> None:
        """The last segment, or a new one where there is none or it is full."""
        self.close()
        self._folder.mkdir(parents=True, exist_ok=True)
        numbers = self._numbers()
        number = max(numbers, default=1)
        if numbers and self._path(number).stat().st_size >= self._segment_bytes:
            number += 1
        descriptor = os.open(self._path(number), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            end = _end_of_last_line(descriptor)
            os.ftruncate(descriptor, end)
            disk.sync(self._folder)
        except OSError:
            os.close(descriptor)
            raise
        self._descriptor, self._number, self._end = descriptor, number, end

    def _numbers(self) -> list[int]:
        if not self._folder.is_dir():
            return []
        return sorted(int(found.group(1)) for file in self._folder.iterdir() if (found := _NAME.fullmatch(file.name)))

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:06d}.jsonl"


def _blank(file: BinaryIO, start: int, end: int) -> int:
    """Overwrite with blanks what is not blank; it stays a line, or several. How many bytes that were."""
    erased = 0
    for at in range(start, end, _BLOCK):
        size = min(_BLOCK, end - at)
        file.seek(at)
        blank = b" " * (size - 1) + b"\n"
        if file.read(size) != blank:
            file.seek(at)
            file.write(blank)
            erased += size
    return erased


def _write_all(descriptor: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written


def _end_of_last_line(descriptor: int) -> int:
    """The offset behind the last line end; 0 where there is none."""
    end = os.fstat(descriptor).st_size
    while end > 0:
        start = max(0, end - _BLOCK)
        at = os.pread(descriptor, end - start, start).rfind(b"\n")
        if at >= 0:
            return start + at + 1
        end = start
    return 0

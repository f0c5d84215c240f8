"""Files that are read line by line: lines within the limits, and where reading goes on once the file has grown."""

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from engine.data.readers import json_values
from engine.data.readers.items import Resume
from engine.data.records.limits import FormatError, Limits
from engine.data.records.text import UTF8_MARK

RECORD_SEPARATOR = b"\x1e"
"""Before each record of a JSON text sequence (RFC 7464)."""


def bare(line: bytes) -> bytes:
    """A line without what stands around its record: a byte order mark, a record separator, the comma of an array."""
    line = line.removeprefix(UTF8_MARK).removeprefix(RECORD_SEPARATOR)
    trimmed = line.rstrip()
    return trimmed[:-1] if trimmed.endswith((b"},", b"],")) else line


class Line(NamedTuple):
    """A line that is not blank; ``raw`` is empty where it is longer than a record may be."""

    raw: bytes
    number: int
    start: int
    end: int
    is_complete: bool

    def content(self, limits: Limits) -> bytes:
        """The bytes of the line.

        Raises:
            FormatError: it is longer than a record may be.
        """
        if not self.raw:
            raise FormatError(json_values.too_large(self.end - self.start, limits))
        return bare(self.raw)

    def resume(self, name: str) -> Resume:
        """Where a reader of format ``name`` goes on after it: behind it once its end is written."""
        return Resume(name, self.end, self.number + 1) if self.is_complete else Resume(name, self.start, self.number)


def lines_of(stream: BinaryIO, limits: Limits, start: int, number: int) -> Iterator[Line]:
    """The lines from byte ``start`` on that are not blank, never more than one record of them in memory."""
    stream.seek(start)
    while first := stream.readline(limits.record_bytes + 2):
        raw, size = first, len(first)
        while not raw.endswith(b"\n") and (more := stream.readline(limits.record_bytes + 2)):
            raw = more
            size += len(more)
        end = start + size
        if not first.isspace():
            is_whole = size - first.endswith(b"\n") <= limits.record_bytes
            yield Line(first if is_whole else b"", number, start, end, raw.endswith(b"\n"))
        start, number = end, number + 1

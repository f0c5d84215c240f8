"""Plain text, read as pieces (`engine.data.records.pieces`)."""

from collections.abc import Iterator
from typing import BinaryIO

from engine.data.readers.format import Format
from engine.data.readers.head import Head
from engine.data.readers.items import Found, Item, Refused, Resume
from engine.data.records.limits import FormatError, Limits
from engine.data.records.pieces import PIECE, cut, piece

_NAME = "plain"


def _fits(head: Head) -> bool:
    del head
    return True


def _read(stream: BinaryIO, limits: Limits, resume: Resume) -> Iterator[Item]:
    """Every piece of the text. One that is not UTF-8 is refused, the rest is read."""
    del limits
    start, line = resume.offset, resume.line
    stream.seek(start)
    ahead, at = b"", 0
    while True:
        if len(ahead) - at <= PIECE:
            ahead, at = ahead[at:] + stream.read(1 << 20), 0
        if at == len(ahead):
            return
        raw = ahead[at : at + PIECE + 1]
        raw = raw[: cut(raw)]
        at += len(raw)
        end = start + len(raw)
        next_line = line + raw.count(b"\n")
        is_last = at == len(ahead)
        resume = Resume(_NAME, start, line) if is_last else Resume(_NAME, end, next_line)
        try:
            if text := piece(raw, start):
                yield Found(text, line, start, end, resume)
        except FormatError as error:
            yield Refused(str(error), line, start, end, resume)
        start, line = end, next_line


FORMAT = Format(_NAME, _fits, _read, may_grow=True)

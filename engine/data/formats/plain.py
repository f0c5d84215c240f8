"""Plain text, cut into pieces.

A piece ends at the last paragraph end, else line end, else space, in the second half of its 8,000 bytes. Where a piece
ends depends only on the bytes from its own start on, so a text that grows keeps all its pieces but the last.
"""

from collections.abc import Iterator
from typing import BinaryIO

from engine.data.conversation import Conversation
from engine.data.formats.items import FormatError, Found, Item, Refused, Resume
from engine.data.formats.text import clean, decode

PIECE = 8_000
"""Bytes of the longest piece."""

_BORDERS = (b"\n\n", b"\r\n\r\n", b"\n", b" ")


def cut(raw: bytes, longest: int = PIECE) -> int:
    """The length of the first piece of ``raw``, which goes on to the end of the text or is at least ``longest``."""
    if len(raw) <= longest:
        return len(raw)
    for border in _BORDERS:
        at = raw.rfind(border, longest // 2, longest)
        if at >= 0:
            return at + len(border)
    end = longest
    while end > longest - 4 and raw[end] & 0xC0 == 0x80:  # not inside a character of several bytes
        end -= 1
    return end


def piece(raw: bytes, offset: int = 0) -> Conversation | None:
    """One piece as a conversation; none where it holds only blanks.

    Raises:
        FormatError: it is not UTF-8.
    """
    text = clean(decode(raw, offset))
    return Conversation(text=text) if text else None


def pieces(text: str, longest: int = PIECE) -> list[Conversation]:
    """The text of one record, cut into pieces of at most ``longest`` bytes.

    Raises:
        FormatError: there is nothing in it.
    """
    raw = clean(text).encode()
    found = []
    while raw:
        length = cut(raw, longest)
        if made := piece(raw[:length]):
            found.append(made)
        raw = raw[length:]
    if not found:
        raise FormatError("'text' is empty")
    return found


def read(stream: BinaryIO, start: int, line: int) -> Iterator[Item]:
    """Every piece from byte ``start`` on, in bounded memory. A piece that is not UTF-8 is refused, the rest is read."""
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
        resume = Resume("plain", start, line) if is_last else Resume("plain", end, next_line)
        try:
            if conversation := piece(raw, start):
                yield Found(conversation, line, start, end, resume)
        except FormatError as error:
            yield Refused(str(error), line, start, end, resume)
        start, line = end, next_line

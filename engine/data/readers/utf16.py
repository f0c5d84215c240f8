"""Text in UTF-16, as Windows writes it: told by its byte order mark, or by the NUL in nearly every other byte."""

import codecs
import io
from typing import BinaryIO, Literal

from engine.data.records.limits import FormatError
from engine.data.records.text import UTF16_MARKS

_MOST_BYTES = 64 << 20
_LOOKED_AT = 4096
_FEWEST = 16
"""Bytes by which the order can be told without a mark."""
_SHARE = 0.9
"""Of the upper bytes, so many are NUL: text in a Latin script."""

Order = Literal["utf-16", "utf-16-le", "utf-16-be"]


def order_of(raw: bytes) -> Order | None:
    """How a file that begins like this is written; none where it is not certainly UTF-16."""
    if raw.startswith(UTF16_MARKS):
        return "utf-16"
    start = raw[:_LOOKED_AT]
    if len(start) < _FEWEST or (len(raw) % 2 and len(raw) < _LOOKED_AT):
        return None
    even, odd = start[::2], start[1::2]
    if even.count(0) == 0 and odd.count(0) >= _SHARE * len(odd):
        return "utf-16-le"
    if odd.count(0) == 0 and even.count(0) >= _SHARE * len(even):
        return "utf-16-be"
    return None


def as_utf8(stream: BinaryIO, order: Order) -> BinaryIO:
    """The same text as UTF-8.

    Raises:
        FormatError: it is damaged, or too long to be converted in memory.
    """
    stream.seek(0)
    raw = stream.read(_MOST_BYTES + 1)
    if len(raw) > _MOST_BYTES:
        raise FormatError(f"UTF-16 of more than {_MOST_BYTES >> 20} MB: save the file as UTF-8")
    try:
        return io.BytesIO(codecs.decode(raw, order).encode())
    except UnicodeDecodeError as error:
        raise FormatError(f"not valid UTF-16 at offset {error.start}; save the file as UTF-8") from None

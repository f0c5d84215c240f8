"""A file's bytes, whatever they are, to samples and refusals, by the formats that thord knows."""

import codecs
import io
from collections.abc import Iterator
from typing import BinaryIO

from engine.data.readers import head, registry
from engine.data.readers.head import Head
from engine.data.readers.items import Item, Refused, Resume
from engine.data.records import text
from engine.data.records.limits import FormatError, Limits

_MAX_UTF16 = 64 << 20


def read_known(
    stream: BinaryIO, limits: Limits, resume: Resume | None = None, *, is_corpus: bool = False
) -> Iterator[Item]:
    """Everything a seekable, buffered stream holds, or with ``resume`` what came after it was last read.

    A text of a corpus is learned whatever it looks like; elsewhere what is neither a conversation nor prose is refused.
    No bytes make this raise but an `OSError` of the stream itself. Memory stays within a few records.
    """
    stream.seek(0)
    raw = stream.read(head.BYTES)
    try:
        if raw.startswith(text.UTF16_MARKS):
            stream, resume = _from_utf16(stream), None
            raw = stream.read(head.BYTES)
        text.check_is_text(raw)
    except FormatError as error:
        yield Refused(str(error), 0, 0, stream.seek(0, io.SEEK_END), Resume("plain", 0, 1))
        return
    known = registry.find(resume.format) if resume is not None and resume.offset else None
    if resume is None or known is None:
        known = registry.recognise(Head(raw, limits), is_corpus=is_corpus)
        resume = Resume(known.name, 0, 1)
    yield from known.read(stream, limits, resume)


def _from_utf16(stream: BinaryIO) -> BinaryIO:
    """The same text as UTF-8.

    Raises:
        FormatError: it is damaged, or too long to be converted in memory.
    """
    stream.seek(0)
    raw = stream.read(_MAX_UTF16 + 1)
    if len(raw) > _MAX_UTF16:
        raise FormatError(f"UTF-16 of more than {_MAX_UTF16 >> 20} MB: save the file as UTF-8")
    try:
        return io.BytesIO(codecs.decode(raw, "utf-16").encode())
    except UnicodeDecodeError as error:
        raise FormatError(f"not valid UTF-16 at offset {error.start}; save the file as UTF-8") from None

"""The way in: a file's bytes, whatever they are, to conversations and refusals."""

import codecs
import io
from collections.abc import Iterator
from typing import BinaryIO

from engine.data.formats import document, layout, lines, plain, text, transcript
from engine.data.formats.items import FormatError, Item, Limits, Refused, Resume

_MAX_UTF16 = 64 << 20


def read(stream: BinaryIO, limits: Limits, resume: Resume | None = None) -> Iterator[Item]:
    """Everything a seekable, buffered stream holds, or with ``resume`` what came after it was last read.

    No bytes make this raise but an `OSError` of the stream itself. Memory stays within a few records.
    """
    stream.seek(0)
    head = stream.read(layout.HEAD)
    try:
        if head.startswith(text.UTF16_MARKS):
            stream, resume = _from_utf16(stream), None
            head = stream.read(layout.HEAD)
        text.check_is_text(head)
    except FormatError as error:
        yield Refused(str(error), 0, 0, stream.seek(0, io.SEEK_END), Resume("plain", 0, 1))
        return
    if resume is None or resume.offset == 0:
        resume = Resume(layout.layout_of(head, limits), 0, 1)
    match resume.layout:
        case "lines":
            yield from lines.read_json(stream, limits, resume.offset, resume.line)
        case "utterances":
            yield from lines.read_utterances(stream, limits, resume.offset, resume.line)
        case "document":
            yield from document.read(stream, limits)
        case "transcript":
            yield from transcript.read(stream, limits)
        case "plain":
            yield from plain.read(stream, resume.offset, resume.line)


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

"""A file's bytes, whatever they are, to samples and refusals, by the formats that thord knows."""

import io
from collections.abc import Iterator
from typing import BinaryIO

from engine.data.readers import head, latin1, line_ends, registry, utf16
from engine.data.readers.head import Head
from engine.data.readers.items import Item, Refused, Resume
from engine.data.readers.messengers import slack
from engine.data.readers.packed import unpack, zip_archive
from engine.data.readers.packed.bounds import Nesting
from engine.data.readers.packed.streams import in_memory
from engine.data.readers.plain_runs import Piece, one_by_one
from engine.data.records import text
from engine.data.records.exports import chatgpt_feedback
from engine.data.records.limits import FormatError, Limits


def read_known(
    stream: BinaryIO, limits: Limits, resume: Resume | None = None, *, is_corpus: bool = False
) -> Iterator[Item]:
    """Everything a seekable, buffered stream holds, or with ``resume`` what came after it was last read.

    A text of a corpus is learned whatever it looks like; elsewhere what is neither a conversation nor prose is refused.
    No bytes make this raise but an `OSError` of the stream itself. Memory stays within a few records, and the bounds of
    `engine.data.readers.packed.bounds`.
    """
    return one_by_one(_read(stream, limits, resume, is_corpus, None))


def read_known_pieces(
    stream: BinaryIO, limits: Limits, resume: Resume | None = None, *, is_corpus: bool = False
) -> Iterator[Piece]:
    """The same, with plain dialogues in runs."""
    return _read(stream, limits, resume, is_corpus, None)


def _read(
    stream: BinaryIO, limits: Limits, resume: Resume | None, is_corpus: bool, nesting: Nesting | None
) -> Iterator[Piece]:
    """The same; ``nesting`` says where the stream is unpacked from, if it is. Only a blank file yields nothing."""
    stream.seek(0)
    raw = head.read(stream)
    items = _items(stream, raw, limits, resume, is_corpus, nesting)
    first = next(items, None)
    if first is not None:
        yield first
        yield from items
    elif resume is None and text.clean(raw.decode("utf-8", errors="replace")):
        yield Refused("it holds nothing to learn", 0, 0, stream.seek(0, io.SEEK_END), Resume("plain", 0, 1))


def _items(
    stream: BinaryIO, raw: bytes, limits: Limits, resume: Resume | None, is_corpus: bool, nesting: Nesting | None
) -> Iterator[Piece]:
    """What is in a stream that begins with ``raw``."""
    if packing := unpack.packing_of(raw):
        if packing == "zip" and nesting is None:
            if people := zip_archive.member(stream, slack.PEOPLE):
                limits = slack.with_people(limits, people)
            limits = chatgpt_feedback.with_feedback(limits, zip_archive.member(stream, chatgpt_feedback.FILE))
        yield from unpack.read(
            packing, stream, lambda inner, where: one_by_one(_read(inner, limits, None, is_corpus, where)), nesting
        )
        return
    if binary := registry.recognise_binary(Head(raw, limits)):
        sought = in_memory(stream) if nesting and binary.seeks else stream
        yield from binary.read(sought, limits, Resume(binary.name, 0, 1))
        return
    try:
        if order := utf16.order_of(raw):
            stream, resume = utf16.as_utf8(stream, order), None
            raw = head.read(stream)
        text.check_is_text(raw)
        if latin1.is_latin1(raw):
            stream, resume = latin1.as_utf8(stream), None
            raw = head.read(stream)
    except FormatError as error:
        yield Refused(str(error), 0, 0, stream.seek(0, io.SEEK_END), Resume("plain", 0, 1))
        return
    if line_ends.ends_with_cr(raw):
        stream = line_ends.with_lf(stream)
        raw = head.read(stream)
    known = registry.find(resume.format) if resume is not None and resume.offset else None
    if resume is None or known is None:
        known = registry.recognise(Head(raw, limits), is_corpus=is_corpus)
        resume = Resume(known.name, 0, 1)
    yield from known.read(stream, limits, resume)

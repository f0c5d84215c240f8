"""Files that are transcripts of who said what (`engine.data.records.written.transcripts`)."""

from collections.abc import Iterator
from typing import BinaryIO

from engine.data.readers.format import Format
from engine.data.readers.head import Head
from engine.data.readers.items import Item, Resume
from engine.data.readers.texts.whole_text import dialogues_in
from engine.data.records.limits import Limits
from engine.data.records.written.transcripts import conversations_in, is_transcript

_NAME = "transcript"
_FROM_START = Resume(_NAME, 0, 1)


def _fits(head: Head) -> bool:
    return is_transcript(head.text, head.limits.names.words)


def _read(stream: BinaryIO, limits: Limits, resume: Resume) -> Iterator[Item]:
    """The dialogues of a transcript. When the file changes it is read from its start."""
    del resume
    yield from dialogues_in(stream, limits, _FROM_START, lambda text: conversations_in(text, limits.names.words))


FORMAT = Format(_NAME, _fits, _read, may_grow=False)

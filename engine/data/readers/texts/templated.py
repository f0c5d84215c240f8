"""Text files that are a dialogue written out in the template of a model (`engine.data.records.written.templates`)."""

from collections.abc import Iterator
from typing import BinaryIO

from engine.data.readers.format import Format
from engine.data.readers.head import Head
from engine.data.readers.items import Item, Resume
from engine.data.readers.texts.whole_text import dialogues_in
from engine.data.records.limits import Limits
from engine.data.records.written import templates

_NAME = "templated"
_FROM_START = Resume(_NAME, 0, 1)


def _fits(head: Head) -> bool:
    return templates.is_written_out(head.text)


def _read(stream: BinaryIO, limits: Limits, resume: Resume) -> Iterator[Item]:
    """The dialogues of the file. When it changes it is read from its start."""
    del resume
    yield from dialogues_in(stream, limits, _FROM_START, templates.dialogues_in)


FORMAT = Format(_NAME, _fits, _read, may_grow=False)

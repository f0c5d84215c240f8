"""Text files that are read whole, because where a dialogue ends is known only from what follows it."""

import io
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

from engine.data.readers.items import Found, Item, Refused, Resume
from engine.data.readers.json_values import too_large
from engine.data.records.dialogue import Turn, dialogue_of
from engine.data.records.limits import FormatError, Limits
from engine.data.records.text import clean, decode


def dialogues_in(
    stream: BinaryIO, limits: Limits, resume: Resume, divide: Callable[[str], Iterable[list[Turn]]]
) -> Iterator[Item]:
    """The dialogues that ``divide`` finds in the clean text of a file; one that cannot be learned costs no other."""
    stream.seek(0)
    raw = stream.read(limits.record_bytes + 1)
    if len(raw) > limits.record_bytes:
        size = stream.seek(0, io.SEEK_END)
        yield Refused(too_large(size, limits), 0, 0, size, resume)
        return
    try:
        text = clean(decode(raw))
    except FormatError as error:
        yield Refused(str(error), 0, 0, len(raw), resume)
        return
    try:
        for turns in divide(text):
            yield from _dialogue(turns, len(raw), limits, resume)
    except FormatError as error:
        yield Refused(str(error), 0, 0, len(raw), resume)


def _dialogue(turns: list[Turn], size: int, limits: Limits, resume: Resume) -> Iterator[Item]:
    try:
        yield Found(dialogue_of(turns, limits), 1, 0, size, resume)
    except FormatError as error:
        yield Refused(str(error), 0, 0, size, resume)

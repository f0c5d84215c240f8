"""Lines of utterances that end with ``__eou__``: a dialogue of two people a line; the first speaker is the user."""

from collections.abc import Iterator
from typing import BinaryIO

from engine.data.readers.format import Format
from engine.data.readers.head import Head
from engine.data.readers.items import Found, Item, Refused, Resume
from engine.data.readers.lines import lines_of
from engine.data.records.dialogue import Turn, dialogue_of
from engine.data.records.limits import FormatError, Limits
from engine.data.records.text import decode
from engine.data.samples import Role

_NAME = "utterances"
_END = "__eou__"


def _fits(head: Head) -> bool:
    return bool(head.lines) and _END in head.lines_as_text[0]


def _read(stream: BinaryIO, limits: Limits, resume: Resume) -> Iterator[Item]:
    speakers: tuple[Role, Role] = ("user", "assistant")
    for line in lines_of(stream, limits, resume.offset, resume.line):
        place = (line.number, line.start, line.end)
        after = line.resume(_NAME)
        try:
            said = [part.strip() for part in decode(line.content(limits), line.start).split(_END)]
            turns = [Turn(speakers[turn % 2], part) for turn, part in enumerate(part for part in said if part)]
            yield Found(dialogue_of(turns, limits), *place, after)
        except FormatError as error:
            yield Refused(str(error), *place, after)


FORMAT = Format(_NAME, _fits, _read, may_grow=True)

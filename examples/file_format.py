"""A toy file format in one file: flash cards, one per line, question and answer separated by a tab.

Its two lines in `engine.data.readers.registry`, after which thord learns such files wherever it reads any:

    from examples import file_format
    file_format.FORMAT,  # before plain_text, which takes the rest
"""

from collections.abc import Iterator
from typing import BinaryIO

from engine.data.readers.format import Format
from engine.data.readers.head import Head
from engine.data.readers.items import Found, Item, Refused, Resume
from engine.data.readers.lines import lines_of
from engine.data.records.dialogue import Turn, dialogue_of
from engine.data.records.limits import FormatError, Limits
from engine.data.records.text import decode
from engine.data.samples import Dialogue

_NAME = "cards"
_MARK = b"#cards"


def _fits(head: Head) -> bool:
    """Whether the first line is ``#cards``."""
    return head.lines[:1] == [_MARK]


def _read(stream: BinaryIO, limits: Limits, resume: Resume) -> Iterator[Item]:
    """One dialogue per line; a line that is not a card is refused with its number."""
    for line in lines_of(stream, limits, resume.offset, resume.line):
        place = (line.number, line.start, line.end)
        try:
            text = decode(line.content(limits)).strip()
            if text == _MARK.decode():
                continue
            card = _card(text, limits)
        except FormatError as error:
            yield Refused(str(error), *place, line.resume(_NAME))
        else:
            yield Found(card, *place, line.resume(_NAME))


def _card(text: str, limits: Limits) -> Dialogue:
    question, tab, answer = text.partition("\t")
    if not tab:
        raise FormatError("not a card: expected a question, a tab and an answer")
    return dialogue_of([Turn("user", question), Turn("assistant", answer)], limits)


FORMAT = Format(_NAME, _fits, _read, may_grow=True)

"""Files that are read line by line: JSON Lines of any shape, and lines of utterances that end with ``__eou__``.

A line that is wrong is refused with its number, the others are read. A last line without a line end may be half
written: it is read, and read again when the file has grown.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from engine.data.conversation import Role
from engine.data.formats import json_values, messages, records
from engine.data.formats.dialogue import conversation_of
from engine.data.formats.items import FormatError, Found, Item, Layout, Limits, Refused, Resume
from engine.data.formats.message_run import MessageRun
from engine.data.formats.text import UTF8_MARK, decode

END_OF_UTTERANCE = "__eou__"


@dataclass(frozen=True, slots=True)
class Line:
    """A line that is not blank; ``raw`` is empty where it is longer than a record may be."""

    raw: bytes
    number: int
    start: int
    end: int
    is_complete: bool

    def content(self, limits: Limits) -> bytes:
        """The bytes of the line.

        Raises:
            FormatError: it is longer than a record may be.
        """
        if not self.raw:
            raise FormatError(json_values.too_large(self.end - self.start, limits))
        return self.raw.removeprefix(UTF8_MARK)

    def resume(self, layout: Layout) -> Resume:
        """Where to go on after it: behind it once its end is written."""
        return (
            Resume(layout, self.end, self.number + 1) if self.is_complete else Resume(layout, self.start, self.number)
        )


def lines_of(stream: BinaryIO, limits: Limits, start: int, number: int) -> Iterator[Line]:
    """The lines from byte ``start`` on that are not blank, never more than one record of them in memory."""
    stream.seek(start)
    while first := stream.readline(limits.record_bytes + 2):
        raw, size = first, len(first)
        while not raw.endswith(b"\n") and (more := stream.readline(limits.record_bytes + 2)):
            raw = more
            size += len(more)
        end = start + size
        if first.strip():
            is_whole = size - first.endswith(b"\n") <= limits.record_bytes
            yield Line(first if is_whole else b"", number, start, end, raw.endswith(b"\n"))
        start, number = end, number + 1


def read_json(stream: BinaryIO, limits: Limits, start: int, number: int) -> Iterator[Item]:
    """JSON Lines. Lines that are one message each are together one conversation."""
    run = MessageRun("lines", limits)
    for line in lines_of(stream, limits, start, number):
        place = (line.number, line.start, line.end)
        try:
            value = json_values.parse(line.content(limits), limits, line.start)
            if messages.is_message(value):
                run.add(value, *place)
                continue
            conversations = records.parse(value, limits)
        except FormatError as error:
            if run.is_open:
                run.fail(str(error), *place)
            else:
                yield Refused(str(error), *place, line.resume("lines"))
            continue
        yield from run.finish(Resume("lines", line.start, line.number))
        for conversation in conversations:
            yield Found(conversation, *place, line.resume("lines"))
    yield from run.finish(None)


def read_utterances(stream: BinaryIO, limits: Limits, start: int, number: int) -> Iterator[Item]:
    """A dialogue of two people a line, each utterance ended by ``__eou__``; the first speaker is the user."""
    for line in lines_of(stream, limits, start, number):
        place = (line.number, line.start, line.end)
        resume = line.resume("utterances")
        try:
            said = [part.strip() for part in decode(line.content(limits), line.start).split(END_OF_UTTERANCE)]
            speakers: tuple[Role, Role] = ("user", "assistant")
            turns = [(speakers[turn % 2], part) for turn, part in enumerate(part for part in said if part)]
            yield Found(conversation_of(turns, limits), *place, resume)
        except FormatError as error:
            yield Refused(str(error), *place, resume)

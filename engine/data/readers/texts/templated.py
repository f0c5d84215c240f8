"""Text files that are a dialogue written out in the template of a model (`engine.data.records.templates`)."""

import io
from collections.abc import Iterator
from typing import BinaryIO

from engine.data.readers.format import Format
from engine.data.readers.head import Head
from engine.data.readers.items import Found, Item, Refused, Resume
from engine.data.readers.json_values import too_large
from engine.data.records.dialogue import Turn, dialogue_of
from engine.data.records.limits import FormatError, Limits
from engine.data.records.templates import is_written_out, turns_in
from engine.data.records.text import clean, decode

_NAME = "templated"
_FROM_START = Resume(_NAME, 0, 1)


def _fits(head: Head) -> bool:
    return is_written_out(head.text)


def _read(stream: BinaryIO, limits: Limits, resume: Resume) -> Iterator[Item]:
    """The dialogues of the file: another one begins where instructions, or the first question, follow an answer."""
    del resume
    stream.seek(0)
    raw = stream.read(limits.record_bytes + 1)
    if len(raw) > limits.record_bytes:
        size = stream.seek(0, io.SEEK_END)
        yield Refused(too_large(size, limits), 0, 0, size, _FROM_START)
        return
    try:
        for turns in _divided(turns_in(clean(decode(raw))) or []):
            yield Found(dialogue_of(turns, limits), 1, 0, len(raw), _FROM_START)
    except FormatError as error:
        yield Refused(str(error), 0, 0, len(raw), _FROM_START)


def _divided(turns: list[Turn]) -> Iterator[list[Turn]]:
    """The dialogues in a row of turns: instructions after an answer begin another one."""
    dialogue: list[Turn] = []
    for turn in turns:
        if turn.role == "system" and any(before.role == "assistant" for before in dialogue):
            yield dialogue
            dialogue = []
        dialogue.append(turn)
    yield dialogue


FORMAT = Format(_NAME, _fits, _read, may_grow=False)

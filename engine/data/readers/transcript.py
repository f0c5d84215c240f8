"""Transcripts: ``Human:`` and ``Assistant:`` blocks, ``A:`` and ``B:`` lines, ``Q:`` and ``A:``, any ``role: text``.

A turn goes on over as many lines as it likes, until the next line that begins with the name of a speaker. A speaker
keeps the spelling of their first turn, so that names quoted inside an answer do not begin a turn.
"""

import io
import re
from collections.abc import Iterator
from typing import BinaryIO

from engine.data.readers.format import Format
from engine.data.readers.head import Head
from engine.data.readers.items import Found, Item, Refused, Resume
from engine.data.readers.json_values import too_large
from engine.data.records.dialogue import Turn, dialogue_of
from engine.data.records.limits import FormatError, Limits
from engine.data.records.text import clean, decode
from engine.data.samples import Role

_NAME = "transcript"
_FROM_START = Resume(_NAME, 0, 1)

_NAMED: dict[str, Role] = {
    "human": "user",
    "user": "user",
    "assistant": "assistant",
    "ai": "assistant",
    "bot": "assistant",
    "chatbot": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "claude": "assistant",
    "system": "system",
    "tool": "tool",
}
_SPEAKER = re.compile(r"(?:#{1,4}[ \t]*|\*\*)?([A-Za-z]{1,12})[ \t]?:(?:\*\*)?(?=\s|$)[ \t]*")


def speakers_of(text: str) -> dict[str, Role] | None:
    """Who speaks in a clean ``text``, by the names as spelled; none where it is not a transcript.

    It is one if its first line begins with a speaker's name, and another speaker follows or the first is a user.
    """
    first = _SPEAKER.match(text)
    if first is None:
        return None
    name = first.group(1)
    spelled = {match.group(1) for line in text.split("\n") if (match := _SPEAKER.match(line))} | {name}
    if name in ("A", "B") and {"A", "B"} <= spelled:
        return {name: "user", "B" if name == "A" else "A": "assistant"}
    if name in ("Q", "q"):
        answer = "A" if name == "Q" else "a"
        return {name: "user", answer: "assistant"} if answer in spelled else None
    role = _NAMED.get(name.lower())
    if role is None:
        return None
    others = {spelling for spelling in spelled if _NAMED.get(spelling.lower(), role) != role}
    return _NAMED if others or role == "user" else None


def split(text: str, speakers: dict[str, Role]) -> list[Turn]:
    """The turns of a transcript, which is clean."""
    spelling: dict[Role, str] = {}
    turns: list[tuple[Role, list[str]]] = []
    for line in text.split("\n"):
        name = _SPEAKER.match(line)
        role = speakers.get(name.group(1)) or speakers.get(name.group(1).lower()) if name else None
        if name and role and spelling.setdefault(role, name.group(1)) == name.group(1):
            turns.append((role, [line[name.end() :]]))
        elif turns:
            turns[-1][1].append(line)
    return [Turn(role, "\n".join(said)) for role, said in turns]


def _fits(head: Head) -> bool:
    return speakers_of(head.text) is not None


def _read(stream: BinaryIO, limits: Limits, resume: Resume) -> Iterator[Item]:
    """The one dialogue of a transcript. When the file changes it is read from its start."""
    del resume
    stream.seek(0)
    raw = stream.read(limits.record_bytes + 1)
    if len(raw) > limits.record_bytes:
        size = stream.seek(0, io.SEEK_END)
        yield Refused(too_large(size, limits), 0, 0, size, _FROM_START)
        return
    try:
        text = clean(decode(raw))
        dialogue = dialogue_of(split(text, speakers_of(text) or {}), limits)
        yield Found(dialogue, 1, 0, len(raw), _FROM_START)
    except FormatError as error:
        yield Refused(str(error), 0, 0, len(raw), _FROM_START)


FORMAT = Format(_NAME, _fits, _read, may_grow=False)

"""Talks among people as dialogues: one rule for every messenger.

Messages of one person that follow each other are one turn. A pause longer than ``data.speakers.pause_hours`` ends a
conversation, and so do another chat, channel or thread. Several users in a conversation stay apart, each turn with the
name. A conversation without an answer is not learned. Of pictures, sounds and files nothing is learned, and an answer
that is given to one, or beside one, is context only.
"""

import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from engine.data.readers.format import Format
from engine.data.readers.head import Head
from engine.data.readers.items import Found, Item, Refused, Resume
from engine.data.readers.json_values import too_large
from engine.data.readers.messengers.said import Cast, Said
from engine.data.records.dialogue import Turn, dialogue_of
from engine.data.records.limits import FormatError, Limits
from engine.data.records.names.settings import Part
from engine.data.records.text import clean

Read = Callable[[BinaryIO, Limits], Iterable[Said]]
"""Everything that is said in a file, in order in each talk; raises `FormatError` where it cannot be read.

A list where a file is read whole; else the file is read twice, once to know who speaks in it.
"""


def format_of(name: str, what: str, fits: Callable[[Head], bool], said_in: Read, *, seeks: bool = False) -> Format:
    """The format of a messenger; ``what`` names one of its files in a sentence, ``seeks`` is as in `Format`."""

    def read(stream: BinaryIO, limits: Limits, resume: Resume) -> Iterator[Item]:
        del resume
        size = stream.seek(0, io.SEEK_END)
        from_start = Resume(name, 0, 1)
        try:
            said = said_in(stream, limits)
            cast = Cast(limits.names, said, what)
            talks = _Talks(cast, limits, size, from_start)
            for each in said if isinstance(said, list) else said_in(stream, limits):
                yield from talks.add(each)
        except FormatError as error:
            yield Refused(str(error), 0, 0, size, from_start)
            return
        yield from talks.finish()

    return Format(name, fits, read, may_grow=False, seeks=seeks)


@dataclass(slots=True)
class _Turn:
    """Messages of one person that follow each other."""

    speaker: str
    name: str
    part: Part
    said: list[str] = field(default_factory=list)
    follows_media: bool = False


@dataclass(slots=True)
class _Conversation:
    """One conversation so far."""

    line: int
    last: float | None = None
    size: int = 0
    turns: list[_Turn] = field(default_factory=list)
    speaker: str = ""
    stranger: str = ""
    sees_media: bool = False
    """Whether the user has sent a picture that nobody has answered yet."""


class _Talks:
    """Conversations under way, one in each talk; what is over is yielded."""

    def __init__(self, cast: Cast, limits: Limits, size: int, resume: Resume) -> None:
        self._cast = cast
        self._limits = limits
        self._size = size
        self._resume = resume
        self._open: dict[str, _Conversation] = {}
        self._media = self._unanswered = 0

    def add(self, said: Said) -> Iterator[Item]:
        """One more message."""
        part = self._cast.part_of(said)
        if part == "ignored":
            return
        conversation = self._open.get(said.talk)
        if conversation and _is_pause(conversation.last, said.time, self._limits.names.pause_seconds):
            del self._open[said.talk]
            yield from self._ended(conversation)
            conversation = None
        if conversation is None:
            conversation = self._open[said.talk] = _Conversation(said.line)
        conversation.last = said.time
        if part is None:
            conversation.stranger = conversation.stranger or said.names[0]
        else:
            self._extend(conversation, said, part)

    def finish(self) -> Iterator[Item]:
        """End every conversation, and say what of the file is not learned."""
        for conversation in self._open.values():
            yield from self._ended(conversation)
        if self._unanswered:
            yield self._left_out(f"conversations without an answer that can be learned: {self._unanswered}")
        if self._media:
            yield self._left_out(f"pictures, sounds and files, and the answers to them: {self._media}")

    def _left_out(self, what: str) -> Refused:
        return Refused(f"not learned: {what}", 0, 0, 0, self._resume)

    def _extend(self, conversation: _Conversation, said: Said, part: Part) -> None:
        conversation.size += len(said.text)
        if conversation.size > self._limits.record_bytes:
            return
        turns = conversation.turns
        self._media += said.has_media
        if clean(said.text):
            if not turns or conversation.speaker != said.speaker or turns[-1].speaker != said.speaker:
                turns.append(_Turn(said.speaker, said.names[0], part))
            turns[-1].said.append(said.text)
            is_about_media = said.has_media or conversation.sees_media
            turns[-1].follows_media = turns[-1].follows_media or (part == "assistant" and is_about_media)
        conversation.speaker = said.speaker
        if part == "user" and said.has_media:
            conversation.sees_media = True
        elif part == "assistant" and clean(said.text):
            conversation.sees_media = False

    def _ended(self, conversation: _Conversation) -> Iterator[Item]:
        place = (conversation.line, 0, self._size)
        if conversation.stranger:
            reason = f"{conversation.stranger!r} speaks in it, and no list of [data.speakers] names them"
            yield Refused(reason, *place, self._resume)
            return
        if conversation.size > self._limits.record_bytes:
            yield Refused(too_large(conversation.size, self._limits), *place, self._resume)
            return
        turns = conversation.turns
        users = {turn.speaker for turn in turns if turn.part == "user"}
        if not any(turn.part == "assistant" and not turn.follows_media for turn in turns):
            self._unanswered += any(turn.part == "assistant" for turn in turns) or bool(users)
            return
        try:
            dialogue = dialogue_of((_learned(turn, are_several=len(users) > 1) for turn in turns), self._limits)
        except FormatError as error:
            yield Refused(str(error), *place, self._resume)
            return
        yield Found(dialogue, *place, self._resume)


def _learned(turn: _Turn, *, are_several: bool) -> Turn:
    text = "\n".join(turn.said)
    if turn.part == "assistant":
        return Turn("assistant", text, weight=0 if turn.follows_media else 1)
    return Turn("user", text, name=turn.name if are_several else "")


def _is_pause(last: float | None, now: float | None, longest: float) -> bool:
    return last is not None and now is not None and now - last > longest

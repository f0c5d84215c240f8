"""Transcripts: ``Human:`` and ``Assistant:`` blocks, ``A:`` and ``B:`` lines, ``Q:`` and ``A:``, Markdown headings.

    User: text           **User**: text          **User:** text          ### User: text
    ## User              You said:               [the text follows from the next line on]

A turn goes on over as many lines as it likes, until the next line that begins with the name of a speaker. A speaker
keeps the spelling of their first turn, so that names quoted inside an answer do not begin a turn. A rule of dashes
before a question ends a conversation; what stands before the first speaker must be a title, a rule or ``Key: value``.
"""

import re
from collections.abc import Iterator
from typing import BinaryIO

from engine.data.readers.format import Format
from engine.data.readers.head import Head
from engine.data.readers.items import Item, Resume
from engine.data.readers.texts.whole_text import dialogues_in
from engine.data.records.dialogue import Turn
from engine.data.records.limits import Limits
from engine.data.samples import Role

_NAME = "transcript"
_FROM_START = Resume(_NAME, 0, 1)

_NAMED: dict[str, Role] = {
    "human": "user",
    "user": "user",
    "customer": "user",
    "client": "user",
    "visitor": "user",
    "you said": "user",
    "assistant": "assistant",
    "ai": "assistant",
    "bot": "assistant",
    "chatbot": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "chatgpt said": "assistant",
    "claude": "assistant",
    "gemini": "assistant",
    "copilot": "assistant",
    "agent": "assistant",
    "support": "assistant",
    "operator": "assistant",
    "system": "system",
    "tool": "tool",
}
_NAME_OF = r"([A-Za-z]{1,12}(?: said)?)"
_SPEAKER = re.compile(
    rf"(?:#{{1,6}}[ \t]*)?(?:\*\*|__)?{_NAME_OF}[ \t]?(?:(?:\*\*|__)[ \t]?:|:(?:\*\*|__)?)(?=\s|$)[ \t]*"
    rf"|#{{1,6}}[ \t]+(?:\*\*)?{_NAME_OF}(?:\*\*)?[ \t]*$"
)
_RULE = re.compile(r"\s*(?:-{3,}|={3,}|\*{3,}|_{3,})\s*$")
_PREFACE = re.compile(r"\s*$|#{1,6} |[*_ ]{0,4}[A-Z][\w .()-]{0,30}[*_ ]{0,4}:[*_ ]{0,4}\S.{0,200}$")
_PREFACE_LINES = 12


def _spelled(match: re.Match[str]) -> str:
    return match[1] or match[2]


def _known(match: re.Match[str] | None) -> Role | None:
    return _NAMED.get(_spelled(match).lower()) if match else None


def _without_preface(text: str) -> str:
    """The text from the first known speaker on, where only titles, rules and facts about the file stand before."""
    lines = text.split("\n")
    for number, line in enumerate(lines[: _PREFACE_LINES + 1]):
        if _known(_SPEAKER.match(line)):
            return "\n".join(lines[number:])
        if not (_PREFACE.match(line) or _RULE.match(line)):
            return text
    return text


def speakers_of(text: str) -> dict[str, Role] | None:
    """Who speaks in a clean ``text``, by the names as spelled; none where it is not a transcript.

    It is one if its first line begins with a speaker's name, and another speaker follows or the first is a user.
    """
    first = _SPEAKER.match(text.split("\n", 1)[0])
    if first is None:
        return None
    name = _spelled(first)
    spelled = {_spelled(match) for line in text.split("\n") if (match := _SPEAKER.match(line))} | {name}
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


def conversations_in(text: str) -> Iterator[list[Turn]]:
    """The turns of each conversation of a transcript, which is clean; nothing where it is not one."""
    text = _without_preface(text)
    speakers = speakers_of(text) or {}
    spelling: dict[Role, str] = {}
    turns: list[tuple[Role, list[str]]] = []
    for line in text.split("\n"):
        name = _SPEAKER.match(line)
        role = speakers.get(_spelled(name)) or speakers.get(_spelled(name).lower()) if name else None
        if name and role and spelling.setdefault(role, _spelled(name)) == _spelled(name):
            if role in ("user", "system") and _ends(turns):
                yield _joined(turns)
                turns = []
            turns.append((role, [line[name.end() :]]))
        elif turns:
            turns[-1][1].append(line)
    if turns:
        yield _joined(turns)


def _ends(turns: list[tuple[Role, list[str]]]) -> bool:
    """Whether the last line that was said is a rule: a conversation ends there."""
    said = [line for line in turns[-1][1] if line.strip()] if turns else []
    return bool(said) and _RULE.match(said[-1]) is not None


def _joined(turns: list[tuple[Role, list[str]]]) -> list[Turn]:
    """The turns; a rule at the end of the last one parts conversations and was said by nobody."""
    role, said = turns[-1]
    length = len(said)
    while length and (not said[length - 1].strip() or _RULE.match(said[length - 1])):
        length -= 1
    return [Turn(role, "\n".join(lines)) for role, lines in (*turns[:-1], (role, said[:length]))]


def _fits(head: Head) -> bool:
    return speakers_of(_without_preface(head.text)) is not None


def _read(stream: BinaryIO, limits: Limits, resume: Resume) -> Iterator[Item]:
    """The dialogues of a transcript. When the file changes it is read from its start."""
    del resume
    yield from dialogues_in(stream, limits, _FROM_START, conversations_in)


FORMAT = Format(_NAME, _fits, _read, may_grow=False)

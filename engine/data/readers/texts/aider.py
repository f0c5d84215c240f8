"""aider's history of chats (``.aider.chat.history.md``): each session is a conversation.

    # aider chat started at 2025-03-17 10:00:00      a session begins
    #### add a greeting                              the user, two blanks at the end of each line
    I'll add one.                                    the model
    > Applied edit to greeting.py                    the program, two blanks at the end of the last line

Source: `aider/io.py` (``user_input``, ``ai_output``, ``append_chat_history``). Headings and quotes of the model look
like the user and the program, but have no blanks at their ends. Where something has taken all these blanks away, the
marks alone tell; then a file is refused in which questions stand behind answers as well as behind what the program
wrote: some of them may be headings. Commands are left out, except those that ask something. An answer that ``/undo``
takes back is context only, and so is one that aider asked for itself.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO, Literal

from engine.data.readers.format import Format
from engine.data.readers.head import Head
from engine.data.readers.items import Item, Resume
from engine.data.readers.texts.whole_text import dialogues_in
from engine.data.records.dialogue import Turn
from engine.data.records.limits import FormatError, Limits

_NAME = "aider"
_FROM_START = Resume(_NAME, 0, 1)
_BEGINS = "# aider chat started at "
_END = "  "
_ASKING = re.compile(r"/(?:ask|code|architect|context|chat-mode ask)[ \n]+(?=\S)")
_FORGETTING = ("/clear", "/reset")
_TAKING_BACK = "/undo"


def _fits(head: Head) -> bool:
    return head.text.startswith(_BEGINS)


def _read(stream: BinaryIO, limits: Limits, resume: Resume) -> Iterator[Item]:
    """The dialogues of the file. When it changes it is read from its start."""
    del resume
    yield from dialogues_in(stream, limits, _FROM_START, conversations_in)


def conversations_in(text: str) -> Iterator[list[Turn]]:
    """The turns of each conversation in which the user asks something.

    Raises:
        FormatError: it is not certain who wrote what.
    """
    turns: list[Turn] = []
    for who, said in _parts(f"{text}{_END}".split("\n")):
        if who == "session" or (who == "user" and said.startswith(_FORGETTING)):
            if turns:
                yield turns
            turns = []
        elif who == "user" and said.startswith(_TAKING_BACK):
            turns = [*turns[:-1], turns[-1]._replace(weight=0)] if turns else []
        elif who == "user" and (asked := _asked(said)):
            turns.append(Turn("user", asked))
        elif who == "model" and turns:
            turns.append(Turn("assistant", said, weight=1 if turns[-1].role == "user" else 0))
    if turns:
        yield turns


def _asked(said: str) -> str:
    """What a user asks the model; empty for a command."""
    said = _ASKING.sub("", said, count=1) if _ASKING.match(said) else said
    return "" if said.startswith(("/", "!")) or said == "<blank>" else said


Who = Literal["session", "user", "model", "program"]


@dataclass(slots=True)
class _Part:
    """Lines of one of them that follow each other; what the program writes is open until its last line."""

    who: Who
    lines: list[str] = field(default_factory=list)
    is_open: bool = False


def _check_is_clear(lines: Iterable[str]) -> None:
    """Questions after the first one all stand behind answers, or all behind the program.

    Raises:
        FormatError: they do not.
    """
    before, is_answered, behind = "", False, set[bool]()
    for line in filter(str.strip, lines):
        if line.startswith("####") and is_answered and not before.startswith("####"):
            behind.add(before.startswith(">"))
        is_answered = not line.startswith(_BEGINS) and (is_answered or not line.startswith(("#", ">")))
        before = line
    if len(behind) > 1:
        raise FormatError("the blanks at the ends of lines are missing: it is not certain what is a question")


def _parts(lines: Sequence[str]) -> Iterator[tuple[Who, str]]:
    closing = _closing(lines)
    has_ends = any(line.startswith("#### ") and line.endswith(_END) for line in lines)
    if not has_ends:
        _check_is_clear(lines)
    part = _Part("session")
    for line, closes in zip(lines, closing, strict=True):
        who = _who(line, part, ends=line.endswith(_END) or not has_ends, closes=closes or not has_ends)
        if who != part.who or who == "session":
            yield part.who, "\n".join(part.lines).strip()
            part = _Part(who)
        part.lines.append(line[5:].rstrip() if who == "user" else line)
        goes_on = part.is_open or bool(line.strip())
        part.is_open = who == "program" and has_ends and goes_on and not line.endswith(_END)
    yield part.who, "\n".join(part.lines).strip()


def _closing(lines: Sequence[str]) -> list[bool]:
    """For each line, whether it or one of those that follow it without a blank line ends like the program's."""
    found: list[bool] = []
    closes = False
    for line in reversed(lines):
        closes = bool(line.strip()) and (line.endswith(_END) or (closes and not line.startswith("####")))
        found.append(closes)
    return found[::-1]


def _who(line: str, part: _Part, *, ends: bool, closes: bool) -> Who:
    """Whose line this is, behind those of ``part``: ``ends`` like one of the user, or ``closes`` like the program's."""
    if line.startswith(_BEGINS):
        return "session"
    if line.startswith("####") and line[4:5] in ("", " ") and ends:
        return "user"
    if part.is_open or (line.startswith(">") and (closes or part.who != "model")):
        return "program"
    return "model" if line.strip() or part.who == "model" else "program"


FORMAT = Format(_NAME, _fits, _read, may_grow=False)

"""Transcripts: ``Human:`` and ``Assistant:`` blocks, ``A:`` and ``B:`` lines, ``Q:`` and ``A:``, Markdown headings.

A turn goes on over as many lines as it likes, until the next line that names a speaker in the same way
(`engine.data.records.written.speakers`), outside of a block of code. A speaker keeps the spelling of their first turn,
so that names quoted inside an answer do not begin a turn. A rule of dashes before a question ends a conversation,
unless rules part all turns. Before the first speaker may stand titles, rules, short lines and ``Key: value``.
"""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from engine.data.records.dialogue import Turn
from engine.data.records.limits import FormatError
from engine.data.records.names.settings import key
from engine.data.records.written.speakers import PLAIN, TITLES, Speaker, is_title, may_speak, role_of_name, speaker_of
from engine.data.samples import Role

_RULE = re.compile(
    r"\s*(?:-{3,}|={3,}|\*{3,}|_{3,}|#{3,}|(?:[-*_] ){2,}[-*_]"
    r"|(?:[#*=-]{1,6}[ \t]*)?(?i:conversation|dialogue|dialog|chat|session|transcript|example)[ \t]*#?\d{1,6}[.:]?"
    r"[ \t#*=-]{0,8}"
    r"|[*_> ]{0,3}(?i:powered by|exported (?:by|with|from|on|at)) .{1,120})\s*$"
)
"""What parts conversations, or ends them: a rule, a numbered heading, the line of the program that exported them."""
_PREFACE = re.compile(
    r"\s*$|#{1,6} |(?:[-*] )?[*_ ]{0,4}[A-Za-z][\w .()-]{0,30}[*_ ]{0,4}:[*_ ]{0,4}\S.{0,200}$|[^.!?;,]{1,60}$"
)
_HEADING = re.compile(r"(#{1,5})[ \t]+\S")
_FACT = re.compile(
    r"\s*$|(?:[-*] )?[*_ ]{0,4}[A-Za-z][\w .()-]{0,30}[*_ ]{0,4}:[*_ ]{0,4}\S.{0,200}$|[*_].{1,120}[*_]\s*$"
)
_COUNT = re.compile(r"[ \t#*=-]*(?i:turn|round|exchange)[ \t]*#?\d{1,6}[.:]?[ \t#*=-]*$")
_TIME = re.compile(
    r"[ \t]*\(?(?:[\d./-]{6,10},?[ T]+)?\d{1,2}:\d\d(?::\d\d)?(?:[ \u202f][AaPp]\.?[Mm]\.?)?\)?[ \t]*$|[-=~^]{3,}\s*$"
)
_PREFACE_LINES = 20
_NO_WORDS: Mapping[str, Role] = MappingProxyType({})
_FENCE = re.compile(r"\s*(?:```|~~~)")


@dataclass(slots=True)
class _Said:
    """A turn as it is read."""

    role: Role
    lines: list[str]
    strangers: list[str]

    def without_rule(self) -> list[str]:
        """The lines without the blank ones and the rules at their end."""
        length = len(self.lines)
        while length and (not self.lines[length - 1].strip() or _RULE.match(self.lines[length - 1])):
            length -= 1
        return self.lines[:length]

    @property
    def ends_with_rule(self) -> bool:
        said = [line for line in self.lines if line.strip()]
        return bool(said) and _RULE.match(said[-1]) is not None


class _Names:
    """Who speaks in a transcript, and how their lines look."""

    def __init__(self, first: Speaker, speakers: Sequence[Speaker | None], words: Mapping[str, Role]) -> None:
        self._words = words
        self.first = first
        alike = [speaker for speaker in speakers if speaker and speaker.form == first.form]
        self._times_of_first = alike.count(first)
        self.names = frozenset(speaker.name.lower() for speaker in alike if not is_title(speaker))
        self._is_of_letters = first.name in ("A", "B") and {"A", "B"} <= {speaker.name for speaker in alike}

    def role_of(self, speaker: Speaker) -> Role | None:
        if self._is_of_letters and speaker.name in ("A", "B"):
            return "user" if speaker.name == self.first.name else "assistant"
        return None if is_title(speaker) else self._role_of_name(speaker.name.lower())

    def _role_of_name(self, name: str) -> Role | None:
        return self._words.get(key(name)) or role_of_name(name, self.names)

    @property
    def is_transcript(self) -> bool:
        """Whether the first line names a known speaker, and another one follows or the first is a user."""
        role = self.role_of(self.first)
        if role is None:
            return False
        others = {self._role_of_name(name) for name in self.names} - {role, None}
        if self.first.form[0] in TITLES and role != "assistant":  # a document has no title twice
            return "assistant" in others or (role == "user" and self._times_of_first > 1)
        return bool(others) or (role == "user" and self.first.form[0] not in PLAIN) or self._is_of_letters

    @property
    def is_answered(self) -> bool:
        """Whether an assistant speaks in the way of the first line."""
        return self._is_of_letters or "assistant" in {self._role_of_name(name) for name in self.names}


@dataclass(frozen=True, slots=True)
class _Transcript:
    """The lines from the first known speaker on.

    Attributes:
        speakers: for each line who begins to speak in it.
        titles: the marks of headings before the first speaker, such as ``#``: a conversation begins below each.
    """

    lines: Sequence[str]
    speakers: Sequence[Speaker | None]
    names: _Names
    titles: frozenset[str]

    def title_ends(self, at: int) -> int:
        """Where the title of another conversation that begins in line ``at`` ends; ``at`` where none does.

        Nothing but facts about the conversation stands between it and the next user: an answer has headings too.
        """
        heading = _HEADING.match(self.lines[at])
        if heading is None or heading[1] not in self.titles:
            return at
        for end in range(at + 1, min(at + _PREFACE_LINES, len(self.lines))):
            speaker = self.speakers[end]
            if speaker is not None and self.names.role_of(speaker) in ("user", "system"):
                return end
            if not (_FACT.match(self.lines[end]) or _RULE.match(self.lines[end])):
                break
        return at


def _transcript_in(text: str, words: Mapping[str, Role]) -> _Transcript | None:
    """The transcript in a text, where only titles, rules and facts about the file stand before.

    ``User: Ann`` is such a fact where the turns below are written in another way.
    """
    lines = [line for line in text.split("\n") if not _COUNT.match(line)]
    speakers: list[Speaker | None] = []
    found: _Transcript | None = None
    for number, line in enumerate(lines[: _PREFACE_LINES + 1]):
        speaker = speaker_of(line)
        if speaker is not None and (may_speak(speaker.name.lower()) or key(speaker.name) in words):
            speakers = speakers or [*itertools.repeat(None, number), *map(speaker_of, lines[number:])]
            names = _Names(speaker, speakers[number:], words)
            if names.is_transcript:
                above = frozenset(heading[1] for before in lines[:number] if (heading := _HEADING.match(before)))
                transcript = _Transcript(lines[number:], speakers[number:], names, above)
                if names.is_answered:
                    return transcript
                found = found or transcript
        if not (_PREFACE.match(line) or _RULE.match(line)):
            break
    return found


def is_transcript(text: str, words: Mapping[str, Role] = _NO_WORDS) -> bool:
    """Whether a clean text is a transcript of known speakers; ``words`` are names that the settings know."""
    return _transcript_in(text, words) is not None


def share_of_turns(text: str) -> float:
    """How many lines of a clean text begin a turn of a known user or assistant, of all that are not blank."""
    lines = [line for line in text.split("\n") if line.strip() and not _RULE.match(line)]
    speakers = [each for each in map(speaker_of, lines) if each and each.form[0] not in PLAIN and not is_title(each)]
    names = frozenset(each.name.lower() for each in speakers)
    turns = sum(role_of_name(each.name.lower(), names) in ("user", "assistant") for each in speakers)
    return turns / len(lines) if lines else 0.0


def is_answered(text: str) -> bool:
    """Whether a clean text is a transcript in which a user asks and an assistant answers."""
    found = _transcript_in(text, _NO_WORDS)
    return found is not None and {"user", "assistant"} <= {turn.role for turn in _turns(found)}


def is_waiting(text: str) -> bool:
    """Whether a clean text is a transcript in which a user asks, and only somebody answers who is not known."""
    found = _transcript_in(text, _NO_WORDS)
    said = _turns(found) if found else []
    return bool(said) and {turn.role for turn in said} == {"user"} and any(turn.strangers for turn in said)


def conversations_in(text: str, words: Mapping[str, Role] = _NO_WORDS) -> Iterator[list[Turn]]:
    """The turns of each conversation of a transcript, which is clean; nothing where it is not one.

    ``words`` are names that the settings know.

    Raises:
        FormatError: somebody speaks of whom it is not known what they are.
    """
    found = _transcript_in(text, words)
    said = _turns(found) if found else []
    for one, other in itertools.pairwise(said):
        if one.role == other.role == "user" and one.strangers:
            raise FormatError(f"the speaker {one.strangers[0]!r} is unknown: write 'User' or 'Assistant'")
    parts_turns = any(one.ends_with_rule and other.role == "assistant" for one, other in itertools.pairwise(said))
    conversation: list[_Said] = []
    for turn in said:
        is_ruled = bool(conversation) and conversation[-1].ends_with_rule and not parts_turns
        is_opened = turn.role == "system" and any(each.role == "assistant" for each in conversation)
        if is_opened or (is_ruled and turn.role in ("user", "system")):
            yield _joined(conversation, parts_turns)
            conversation = []
        begins = turn.role == "system" and all(each.role == "user" for each in conversation)
        conversation.insert(0 if begins else len(conversation), turn)
    if conversation:
        yield _joined(conversation, parts_turns)


def _turns(transcript: _Transcript) -> list[_Said]:
    names = transcript.names
    spelling: dict[Role, tuple[str, tuple[str, str]]] = {}
    has_blocks = sum(bool(_FENCE.match(line)) for line in transcript.lines) % 2 == 0
    turns: list[_Said] = []
    in_block = False
    title_ends = 0
    for number, (line, speaking) in enumerate(zip(transcript.lines, transcript.speakers, strict=True)):
        if number < title_ends:
            continue
        if has_blocks and _FENCE.match(line):
            in_block = not in_block
        speaker = None if in_block else speaking
        role = names.role_of(speaker) if speaker else None
        if speaker and role and _is_spelled(spelling, role, speaker):
            turns.append(_Said(role, [line[speaker.end :]], []))
        elif turns and not in_block and (title_ends := transcript.title_ends(number)) > number:
            turns[-1].lines.append("---")
        elif turns:
            turns[-1].lines.append(line)
            if speaker and not role and speaker.form == names.first.form:
                turns[-1].strangers.append(speaker.name)
    return turns


def _is_spelled(spelling: dict[Role, tuple[str, tuple[str, str]]], role: Role, speaker: Speaker) -> bool:
    """Whether this speaker is spelled and written as at the first turn of this role."""
    return spelling.setdefault(role, (speaker.name, speaker.form)) == (speaker.name, speaker.form)


def _joined(said: list[_Said], parts_turns: bool) -> list[Turn]:
    """The turns; a rule that parts conversations, or all turns, was said by nobody."""
    lines = (turn.without_rule() if parts_turns or turn is said[-1] else turn.lines for turn in said)
    return [Turn(turn.role, "\n".join(_without_time(each))) for turn, each in zip(said, lines, strict=True)]


def _without_time(lines: list[str]) -> list[str]:
    """What was said without the time, where it stands alone between the speaker and the words."""
    at_time = len(lines) > 2 and not lines[0].strip() and _TIME.match(lines[1])
    return lines[2:] if at_time else lines

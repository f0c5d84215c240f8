"""What people say in a messenger: one message, and who speaks in all of them."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from engine.data.records.limits import FormatError
from engine.data.records.names.settings import Names, Part, key

_MOST_NAMED = 8
_LONGEST_NAME = 60


@dataclass(frozen=True, slots=True)
class Said:
    """One message.

    Attributes:
        names: of who says it, as a setting may have them; the first is shown.
        time: in seconds since any moment; none where the file does not say.
        talk: the chat, channel or thread.
        has_media: whether a picture, a sound or a file is sent with it, or instead of it.
    """

    names: tuple[str, ...]
    text: str
    time: float | None = None
    talk: str = ""
    line: int = 1
    has_media: bool = False
    is_bot: bool = False

    @property
    def speaker(self) -> str:
        """Who says it, as messages of one person are told from those of another."""
        return key(self.names[0])


class Cast:
    """Everybody who speaks in a file, and what they are."""

    def __init__(self, names: Names, said: Iterable[Said], what: str) -> None:
        """``what`` says of which kind the file is.

        Raises:
            FormatError: nobody in it is known to be the assistant; the message says who speaks, and what to set.
        """
        self._names = names
        self._everybody_else: Part | None = None if "user" in names.speakers.values() else "user"
        seen: dict[str, str] = {}
        has_bot = has_assistant = False
        for each in said:
            seen.setdefault(each.speaker, each.names[0])
            has_bot = has_bot or each.is_bot
            has_assistant = has_assistant or names.part_of(each.names) == "assistant"
        self._bot_answers = has_bot and not has_assistant
        if not seen:
            raise FormatError(f"{what} without a message")
        if not has_assistant and not has_bot:
            raise FormatError(_unknown(what, list(seen.values()), names))

    def part_of(self, said: Said) -> Part | None:
        """What somebody is; none where the settings name the users and this is nobody of them.

        Where no setting names anybody who speaks, a bot is the assistant.
        """
        part = self._names.part_of(said.names)
        if part is None and self._bot_answers and said.is_bot:
            return "assistant"
        return part or self._everybody_else


def _unknown(what: str, seen: list[str], names: Names) -> str:
    shown = [json.dumps(name[:_LONGEST_NAME], ensure_ascii=False) for name in seen[:_MOST_NAMED]]
    named = any(part == "assistant" for part in names.speakers.values())
    because = "nobody in data.speakers.assistant speaks in it" if named else "data.speakers.assistant is not set"
    return (
        f"{what}: thord cannot tell which speaker is the assistant, because {because}. The speakers: {', '.join(shown)}"
        f"{' and others' if len(seen) > _MOST_NAMED else ''}. Write under [data.speakers] in thord.toml who it is, "
        f"such as assistant = [{shown[-1]}], then run 'thorctl reload' and 'thorctl quarantine retry'"
    )

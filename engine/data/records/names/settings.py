"""What the settings say about the names in files: people, columns, and words for the four roles."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from engine.data.samples import Role

Part = Literal["assistant", "user", "ignored"]
"""What somebody is in a talk among people."""
Field = Literal["user", "assistant", "system", "role", "content", "conversation", "time"]
"""What a column holds."""

_INVISIBLE = re.compile("[\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]")


@dataclass(frozen=True)
class Names:
    """Names of people, columns and roles, each as `key` has it.

    Attributes:
        pause_seconds: a longer pause between two messages parts two conversations.
        people: names by id, where a file beside the one that is read lists them.
    """

    speakers: Mapping[str, Part] = field(default_factory=dict)
    columns: Mapping[str, Field] = field(default_factory=dict)
    roles: Mapping[str, Role] = field(default_factory=dict)
    pause_seconds: float = 8 * 3600.0
    people: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @cached_property
    def words(self) -> Mapping[str, Role]:
        """Who is which role in records of messages: the words for roles, and people who are one."""
        people: dict[str, Role] = {name: part for name, part in self.speakers.items() if part != "ignored"}
        return people | dict(self.roles)

    def part_of(self, names: Iterable[str]) -> Part | None:
        """What somebody with these names is; none where no setting names them."""
        return next((part for name in names if (part := self.speakers.get(key(name)))), None)


def visible(text: str) -> str:
    """A text without marks that nobody sees, such as those that turn the direction of writing."""
    return _INVISIBLE.sub("", text)


def key(name: str) -> str:
    """A name as it is compared: whatever its case, its blanks, and the tilde before somebody who is no contact."""
    return " ".join(visible(unicodedata.normalize("NFC", name)).split()).removeprefix("~").strip().casefold()

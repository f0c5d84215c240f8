"""Whose conversation an answer belongs to, where its row does not say so, or says only who speaks.

Tables often have the id of a person in the rows of what people ask, and nothing, or the id of a bot, in those of the
answers. Such an answer belongs to the only conversation that waits for one, or goes on behind the answer before it.
Where several wait it is not known whose it is: then it belongs to none of them, and is refused.
"""

from collections.abc import Sequence

from engine.data.records.names.conversations import person_column
from engine.data.records.roles import is_role
from engine.data.records.turn import Turn

_OF_NOBODY = "rows that name no conversation"


class Askers:
    """Who has asked something so far, and who waits for an answer."""

    def __init__(self) -> None:
        self._asked: set[str] = set()
        self._waiting: set[str] = set()
        self._last = ""

    def conversation_of(self, named: str, turns: Sequence[Turn]) -> str:
        """The conversation of the next row; ``named`` is what its columns say, empty where they say nothing."""
        if not turns:
            return named
        name = self._answered(named) if all(turn.role in ("assistant", "tool") for turn in turns) else named
        if any(turn.role == "user" for turn in turns):
            self._asked.add(name)
            self._waiting.add(name)
        if turns[-1].role == "assistant":
            self._waiting.discard(name)
        self._last = name
        return name

    def _answered(self, named: str) -> str:
        is_known = bool(named) and (named in self._asked or not person_column(named))
        if is_known or not self._asked or self._asked == {""}:
            return named
        asker = next(iter(self._waiting)) if len(self._waiting) == 1 else "" if self._waiting else self._last
        if is_role(asker.partition(" ")[2]):  # such an id tells nobody from anybody
            return named
        return asker if asker in self._asked else _OF_NOBODY

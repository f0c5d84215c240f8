"""What the checks of ``thorctl doctor`` look at, and what they report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from control.answers import Json, Status
    from control.paths import Paths

Level = Literal["ok", "warn", "fail"]


class Finding(NamedTuple):
    """One line of the diagnosis; ``remedy`` is empty where nothing needs doing."""

    check: str
    level: Level
    message: str
    remedy: str = ""


class Context(NamedTuple):
    """What is examined.

    Attributes:
        home: what was given as ``--home``.
        status: what thord says of itself; None where it does not run.
        trouble: why it gave no status though something is there.
        settings: all resolved; empty where they are wrong.
    """

    paths: Paths
    home: str | None
    status: Status | None
    trouble: str
    settings: dict[str, Json]

    def setting(self, section: str, key: str) -> Json:
        """One setting, None where it is unknown."""
        table = self.settings.get(section)
        return table.get(key) if isinstance(table, dict) else None

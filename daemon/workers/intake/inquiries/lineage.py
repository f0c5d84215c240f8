"""Which versions learned from a cycle, and which were made from those, as ``thord.db`` says."""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from daemon import sqlite


@dataclass(frozen=True)
class Lineage:
    """Versions by the cycle that made them, and by their parent."""

    by_cycle: dict[int, int]
    parents: dict[int, int | None]

    @classmethod
    def read(cls, store: Path) -> "Lineage":
        """From the supervisor's database; empty where there is none yet, or it cannot be read now."""
        try:
            with sqlite.open_to_read(store) as database:
                rows = database.execute("SELECT number, parent, cycle FROM versions").fetchall()
        except sqlite3.Error:
            rows = []
        made = {cycle: number for number, _, cycle in rows if cycle is not None}
        return cls(made, {number: parent for number, parent, _ in rows})

    def made_from(self, versions: Iterable[int]) -> set[int]:
        """Every version that was made from one of these, in any number of steps; without these themselves."""
        found = set(versions)
        own = frozenset(found)
        for number in sorted(self.parents):  # a parent has a lower number
            if self.parents[number] in found:
                found.add(number)
        return found - own

"""Which versions learned from a cycle, and which were made from those, as ``thord.db`` says."""

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
        """From the supervisor's database; empty where there is none yet.

        Raises:
            sqlite3.Error: it cannot be read now.
        """
        if not store.exists():
            return cls({}, {})
        with sqlite.open_to_read(store) as database:
            rows = database.execute("SELECT number, parent, cycle FROM versions").fetchall()
        made = {cycle: number for number, _, cycle in rows if cycle is not None}
        return cls(made, {number: parent for number, parent, _ in rows})

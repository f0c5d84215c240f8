"""Cycles that left something behind, also where the store does not know them: restored from a copy, or new."""

import sqlite3
from dataclasses import dataclass

from control.paths import Paths
from daemon import sqlite


@dataclass(frozen=True)
class CyclesOnDisk:
    """What the intake's ledger, the snapshots and the runs tell.

    Attributes:
        highest: the highest number of any; another cycle of such a number would learn what the first one learned.
        unsettled: those that hold conversations.
    """

    highest: int
    unsettled: tuple[int, ...]


def find(paths: Paths) -> CyclesOnDisk:
    """Look for cycles in the ledger, the snapshots and the runs. Blocking."""
    folders = (folder.name for place in (paths.snapshots, paths.runs) if place.is_dir() for folder in place.iterdir())
    known = _in_ledger(paths)
    highest = max((0, *known, *(int(name) for name in folders if name.isdecimal())))
    return CyclesOnDisk(highest, tuple(number for number, is_settled in known.items() if not is_settled))


def _in_ledger(paths: Paths) -> dict[int, bool]:
    """Each cycle that was given conversations, and whether it is settled."""
    if not paths.ledger.exists():
        return {}
    try:
        with sqlite.open_to_read(paths.ledger) as ledger:
            return dict(ledger.execute("SELECT cycle, outcome IS NOT NULL FROM cycles").fetchall())
    except sqlite3.Error:  # damaged, or of an intake that never came up: it will say so itself
        return {}

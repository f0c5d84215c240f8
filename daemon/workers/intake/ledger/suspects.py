"""Files during whose reading the intake died, and how often: the second time is not an accident.

| died                                          | counts |
| --------------------------------------------- | ------ |
| the intake alone (a crash, memory, a hang)    | 2      |
| with its supervisor (perhaps somebody's doing) | 1      |

A file that has 4 is set aside until it changes, or until somebody asks for it to be read once more.
"""

import os
import sqlite3
from pathlib import Path

from daemon.workers.intake.folders import Signature

ALONE, TOGETHER, TOO_MUCH = 2, 1, 4

REASON = (
    "reading it ended the intake more than once (intake.log says how), so it is not read again until it changes; "
    "to try once more: thorctl quarantine retry"
)


class Suspects:
    """Reads and writes the table of such files."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def count(self, path: Path, signature: Signature, deaths: int) -> None:
        """The intake died while it read a file that looked like this."""
        before = self.deaths(path, signature)
        row = (os.fsencode(path), signature.device, signature.inode, signature.size, signature.mtime_ns)
        self._database.execute("INSERT OR REPLACE INTO suspects VALUES (?, ?, ?, ?, ?, ?)", (*row, before + deaths))

    def deaths(self, path: Path, signature: Signature) -> int:
        """What was counted for the file as it looks now."""
        found = self._database.execute(
            "SELECT device, inode, size, mtime_ns, deaths FROM suspects WHERE path = ?", (os.fsencode(path),)
        ).fetchone()
        return int(found[4]) if found and Signature(*found[:4]) == signature else 0

    def is_poison(self, path: Path, signature: Signature) -> bool:
        """Whether it must not be read in its current state."""
        return self.deaths(path, signature) >= TOO_MUCH

    def paths(self) -> set[Path]:
        """Every suspect: read alone, after all others."""
        return {Path(os.fsdecode(path)) for (path,) in self._database.execute("SELECT path FROM suspects")}

    def clear(self, path: Path) -> None:
        """It was read to its end, or is gone."""
        self._database.execute("DELETE FROM suspects WHERE path = ?", (os.fsencode(path),))

    def give_another_chance(self) -> None:
        """Let every file be read once more; one more death sets it aside again."""
        self._database.execute("UPDATE suspects SET deaths = ? WHERE deaths > ?", (TOO_MUCH - ALONE,) * 2)

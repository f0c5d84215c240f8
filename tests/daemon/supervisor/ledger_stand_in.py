"""A stand-in for the intake's ledger, kept in a file."""

import json
from pathlib import Path

from daemon.messages import (
    Settle,
)


def write_whole(file: Path, text: str) -> None:
    """Write a file so that a kill leaves the old one or the new one."""
    draft = file.with_suffix(".tmp")
    draft.write_text(text)
    draft.rename(file)


class Ledger:
    """What the intake keeps: each conversation ``new``, assigned to a cycle, or ``learned``; and how often tried."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def _load(self) -> dict[str, dict[str, list[int] | int]]:
        return json.loads(self._file.read_text()) if self._file.exists() else {}

    def _save(self, rows: dict[str, dict[str, list[int] | int]]) -> None:
        write_whole(self._file, json.dumps(rows))

    def add(self, how_many: int) -> None:
        """New conversations come in."""
        rows = self._load()
        for _ in range(how_many):
            rows[str(len(rows))] = {"cycle": 0, "learned_in": [], "tries": 0, "settled": []}
        self._save(rows)

    def collect(self, cycle: int, limit: int) -> int:
        """Assign; the same again changes nothing."""
        rows = self._load()
        mine = [row for row in rows.values() if row["cycle"] == cycle]
        if not mine:
            mine = [row for row in rows.values() if row["cycle"] == 0 and not row["learned_in"]][:limit]
            for row in mine:
                row["cycle"] = cycle
            self._save(rows)
        return len(mine)

    def settle(self, command: Settle) -> None:
        """Give final states; the same again changes nothing."""
        rows = self._load()
        for row in rows.values():
            if row["cycle"] == command.cycle:
                row["cycle"] = 0
                if command.learned:
                    row["learned_in"].append(command.cycle)
                row["tries"] += command.count_try
        self._save(rows)

    @property
    def learned(self) -> list[list[int]]:
        """For each conversation, the cycles that learned it."""
        return [row["learned_in"] for row in self._load().values()]

    @property
    def assigned(self) -> int:
        """How many some cycle holds."""
        return sum(row["cycle"] != 0 for row in self._load().values())

    @property
    def new(self) -> int:
        """How many wait to be learned."""
        return sum(row["cycle"] == 0 and not row["learned_in"] for row in self._load().values())

    @property
    def tries(self) -> list[int]:
        """For each conversation, how often it was tried in vain."""
        return [row["tries"] for row in self._load().values()]

"""What was refused and why, read from the intake's database without touching it."""

from pathlib import Path

from pydantic import JsonValue

from daemon import sqlite

_COLUMNS = ("id", "at", "file", "line", "reason", "copy", "sha256", "size", "trace")


def refusals(ledger: Path, limit: int) -> list[dict[str, JsonValue]]:
    """The newest refusals, newest first; none while there is no ledger yet. Blocking.

    Raises:
        sqlite3.Error: the ledger cannot be read now.
    """
    if not ledger.exists():
        return []
    with sqlite.open_to_read(ledger) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'refusals'").fetchone():
            return []
        query = f"SELECT {', '.join(_COLUMNS)} FROM refusals ORDER BY id DESC LIMIT ?"  # noqa: S608 — our own names
        return [_shown(dict(zip(_COLUMNS, row, strict=True))) for row in connection.execute(query, (limit,))]


def _shown(row: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Line 0 stands for the whole file, an empty copy for a file that could not be read: null for clients."""
    return {**row, **{name: row[name] or None for name in ("line", "copy", "trace")}}

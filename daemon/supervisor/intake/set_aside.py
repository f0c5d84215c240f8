"""What was set aside and why, file by file, read from the intake's database without touching it."""

import os
from pathlib import Path

from pydantic import JsonValue

from daemon import sqlite
from engine.data.storable import storable_path

_BY_FILE = (
    "SELECT path, note, count(*) FROM samples JOIN sources ON sources.id = source"
    " WHERE state = 'set_aside' GROUP BY path, note ORDER BY path, note LIMIT ?"
)
MOST = 200
"""Files and reasons shown."""


def set_aside(ledger: Path) -> list[dict[str, JsonValue]]:
    """Conversations that no cycle takes any more, counted by file and reason. Blocking.

    Raises:
        sqlite3.Error: the ledger cannot be read now.
    """
    if not ledger.exists():
        return []
    with sqlite.open_to_read(ledger) as connection:
        columns = [name for _, name, *_ in connection.execute("PRAGMA table_info(samples)")]
        if "note" not in columns:
            return []
        rows = connection.execute(_BY_FILE, (MOST,)).fetchall()
    return [
        {
            "source": storable_path(Path(os.fsdecode(path))),
            "conversations": number,
            "reason": note or "its tries were used up",
        }
        for path, note, number in rows
    ]

"""How many samples came from which file, and in which format, read from the intake's database without touching it."""

import os
from collections import Counter
from pathlib import Path

from pydantic import JsonValue

from daemon import sqlite
from engine.data.storable import storable_path

MOST = 20
"""Files that are told, those with most samples."""
_COUNTS = (
    "SELECT path, format, number FROM (SELECT source, count(*) AS number FROM samples GROUP BY source)"
    " JOIN sources ON sources.id = source ORDER BY number DESC, path"
)


def by_source(ledger: Path) -> dict[str, JsonValue]:
    """Samples that are kept, counted once, where each was read first. Blocking.

    Raises:
        sqlite3.Error: the ledger cannot be read now.
    """
    if not ledger.exists():
        return {"by_format": {}, "by_source": {}}
    formats: Counter[str] = Counter()
    files: dict[str, JsonValue] = {}
    with sqlite.open_to_read(ledger) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'samples'").fetchone():
            return {"by_format": {}, "by_source": {}}
        for path, name, number in connection.execute(_COUNTS):
            formats[name] += number
            if len(files) < MOST:
                files[storable_path(Path(os.fsdecode(path)))] = number
    return {"by_format": dict(formats), "by_source": files}

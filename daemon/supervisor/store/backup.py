"""Copies of the databases, taken while they are in use."""

import contextlib
import sqlite3
from pathlib import Path

from daemon import sqlite
from daemon.clock import time_of_day
from engine import disk

KEEP = 7
"""Copies of each database."""


def back_up(database: Path, folder: Path) -> Path | None:
    """Copy ``database`` to ``folder/NAME-YYYYMMDD.db`` and drop all but the newest seven copies.

    The copy appears by rename, so it is whole or absent. Blocking: call it in a thread.

    Returns:
        The copy, or null where there is no such database yet.

    Raises:
        OSError, sqlite3.Error: it could not be written.
    """
    if not database.exists():
        return None
    folder.mkdir(parents=True, exist_ok=True, mode=0o750)
    today = time_of_day().strftime("%Y%m%d")
    copy = folder / f"{database.stem}-{today}.db"
    for left in folder.glob(f".tmp-{database.stem}-*"):  # of a copy that did not come to its end, also of another night
        left.unlink()
    with (
        disk.draft(copy) as draft,
        sqlite.open_to_read(database) as source,
        contextlib.closing(sqlite3.connect(draft)) as target,
    ):
        source.backup(target)
    for old in sorted(folder.glob(f"{database.stem}-*.db"))[:-KEEP]:
        old.unlink(missing_ok=True)
    return copy

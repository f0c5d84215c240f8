"""How a process opens its SQLite database: checked, durable, and at the newest of its schemas.

``user_version`` counts the steps of the schema that were applied.
"""

import contextlib
import sqlite3
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Literal

Check = Literal["integrity_check", "quick_check"]
"""How thoroughly a database is checked when it is opened. The quick one does not compare indexes with their tables."""

_MOST_LOOKED_UP = 500
"""Hashes in one query."""
_COMPLAINTS = 3
"""Findings of a check that are told; the first ones say enough."""


class NewerSchemaError(Exception):
    """The database was written by a later thord than this one; nothing was touched."""


class DamagedError(Exception):
    """The database is damaged, or is not a database; the message says how."""


def open_database(
    file: Path, steps: Sequence[str], *, check: Check, wait_seconds: float, any_thread: bool = False
) -> sqlite3.Connection:
    """Open or create a database, check it, and bring it to its newest schema.

    Every transaction is on disk when it ends. Transactions begin only where they are told to, and references between
    tables are enforced.

    Args:
        file: where it is; its folder exists.
        steps: of its schema, as for `migrate`.
        check: how thoroughly it is checked.
        wait_seconds: how long a statement waits for another process that writes.
        any_thread: it is used in another thread than this one.

    Raises:
        DamagedError: it cannot be used at all.
        NewerSchemaError: it is ahead of this program.
        sqlite3.OperationalError: it cannot be opened or written now.
    """
    connection = sqlite3.connect(file, isolation_level=None, timeout=wait_seconds, check_same_thread=not any_thread)
    try:
        _check(connection, check)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        migrate(connection, steps)
        connection.execute("PRAGMA foreign_keys = ON")  # only now: a step may rebuild a table that others refer to
    except BaseException as error:
        close(connection)
        if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
            raise DamagedError(str(error)) from error
        raise
    return connection


def open_to_read(file: Path) -> AbstractContextManager[sqlite3.Connection]:
    """Open the database of another process without ever writing to it; closed at the end of the block.

    Raises:
        sqlite3.Error: it cannot be opened now.
    """
    return contextlib.closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True))


def migrate(database: sqlite3.Connection, steps: Sequence[str]) -> None:
    """Apply the steps that are missing, each in one transaction with its number.

    Step n brings a database from ``user_version`` n to n + 1, so a step that was released is never changed.

    Raises:
        NewerSchemaError: it is ahead of this program.
        sqlite3.Error: it cannot be written; the steps before stand.
    """
    (applied,) = database.execute("PRAGMA user_version").fetchone()
    if applied > len(steps):
        raise NewerSchemaError(f"its schema is {applied}, this thord knows {len(steps)}; install the newer thord")
    for number, step in enumerate(steps[applied:], start=applied + 1):
        database.executescript(f"BEGIN IMMEDIATE; {step}; PRAGMA user_version = {number}; COMMIT;")


def hashes_found(database: sqlite3.Connection, query: str, hashes: Sequence[str]) -> set[str]:
    """Those of many hashes, in hexadecimal, that a query finds; it ends with the column that is to be one of them."""
    found: set[str] = set()
    for start in range(0, len(hashes), _MOST_LOOKED_UP):
        wanted = [blob(each) for each in hashes[start : start + _MOST_LOOKED_UP]]
        marks = ", ".join("?" * len(wanted))
        found.update(each.hex() for (each,) in database.execute(f"{query} IN ({marks})", wanted))
    return found


def blob(hexadecimal: str) -> bytearray:
    """A hash as a statement takes it at once: for each value of `bytes`, `sqlite3` asks whether it is to be adapted."""
    return bytearray.fromhex(hexadecimal)


def close(database: sqlite3.Connection) -> None:
    """Let go of a database, whatever state it is in."""
    with contextlib.suppress(sqlite3.Error):
        database.close()


def _check(database: sqlite3.Connection, check: Check) -> None:
    found = [" ".join(text.split()) for (text,) in database.execute(f"PRAGMA {check}({_COMPLAINTS})")]
    if found != ["ok"]:
        raise DamagedError("; ".join(found))

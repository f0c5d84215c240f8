"""How a database of SQLite comes to the newest of its schemas: ``user_version`` counts the steps that were applied."""

import sqlite3
from collections.abc import Sequence


class NewerSchemaError(Exception):
    """The database was written by a later thord than this one; nothing was touched."""


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

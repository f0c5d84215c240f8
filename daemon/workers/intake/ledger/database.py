"""The database of the ledger, opened, checked and brought up to date."""

import contextlib
import sqlite3
from pathlib import Path

from daemon import migrations
from daemon.clock import utc_now_with_offset
from daemon.workers.intake.ledger import schema


class LedgerError(Exception):
    """The ledger cannot be used; the message says why and what to do."""


class StorageError(Exception):
    """Ledger or segments cannot be written now: a full or read-only disk. What was under way is undone."""


def open_database(file: Path) -> sqlite3.Connection:
    """The ledger, checked and brought up to date.

    Raises:
        LedgerError: it is damaged, or was written by a newer thord.
        StorageError: it cannot be opened for writing.
    """
    database = None
    try:
        database = sqlite3.connect(file, isolation_level=None, timeout=30)
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        _check(database, file)
        migrations.migrate(database, schema.MIGRATIONS)
        database.execute("PRAGMA foreign_keys = ON")  # only now: a migration may rebuild a table that others refer to
    except sqlite3.OperationalError as error:
        close(database)
        raise StorageError(f"{file}: {error}") from error
    except sqlite3.DatabaseError as error:
        close(database)
        raise LedgerError(_damaged(file, str(error))) from error
    except migrations.NewerSchemaError as error:
        close(database)
        raise LedgerError(f"{file} was written by a newer thord: {error}") from error
    except LedgerError:
        close(database)
        raise
    return database


def close(database: sqlite3.Connection | None) -> None:
    """Let go of a database, whatever state it is in."""
    if database is not None:
        with contextlib.suppress(sqlite3.Error):
            database.close()


def now() -> str:
    """This moment, as every table of the ledger has it."""
    return utc_now_with_offset("milliseconds")


def _check(database: sqlite3.Connection, file: Path) -> None:
    problems = [" ".join(text.split()) for (text,) in database.execute("PRAGMA quick_check(3)") if text != "ok"]
    if problems:
        raise LedgerError(_damaged(file, "; ".join(problems)))


def _damaged(file: Path, why: str) -> str:
    return (
        f"{file} is damaged: {why}. Stop thord, put the newest copy from {file.parent / 'backups'} in its place "
        f"(remove {file.name}-wal and {file.name}-shm), start thord"
    )

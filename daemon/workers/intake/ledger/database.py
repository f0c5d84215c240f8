"""The database of the ledger, opened, checked and brought up to date."""

import sqlite3
from pathlib import Path

from daemon import sqlite
from daemon.clock import utc_now_with_offset
from daemon.workers.intake.ledger import schema

_CACHE_KILOBYTES = 16 << 10
"""Identities come in no order, so new ones touch pages all over their indexes."""


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
    try:
        database = sqlite.open_database(file, schema.MIGRATIONS, check="quick_check", wait_seconds=30.0)
    except sqlite3.OperationalError as error:
        raise StorageError(f"{file}: {error}") from error
    except sqlite.DamagedError as error:
        raise LedgerError(_damaged(file, str(error))) from error
    except sqlite.NewerSchemaError as error:
        raise LedgerError(f"{file} was written by a newer thord: {error}") from error
    database.execute(f"PRAGMA cache_size = -{_CACHE_KILOBYTES}")
    return database


def now() -> str:
    """This moment, as every table of the ledger has it."""
    return utc_now_with_offset("milliseconds")


def _damaged(file: Path, why: str) -> str:
    return (
        f"{file} is damaged: {why}. Stop thord, put the newest copy from {file.parent / 'backups'} in its place "
        f"(remove {file.name}-wal and {file.name}-shm), start thord"
    )

"""A SQLite file in a thread of its own: opened and checked, written in transactions, read as records."""

import asyncio
import contextlib
import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from daemon import sqlite
from daemon.supervisor.store import schema
from daemon.supervisor.store.records import Record

_T = TypeVar("_T")
_R = TypeVar("_R", bound=Record)
Value = str | int | float | None

_WAIT_SECONDS = 5.0
"""For another process that writes; there is none but somebody's own tools."""

_JSON_COLUMNS = frozenset({"request", "gate", "metrics", "variation", "data", "result", "progress"})
"""Columns that hold a JSON object."""

_COLUMN_OF = {"attempts_without_progress": "fruitless"}
"""Columns that are not called as the field of the record is: files that exist keep the names they have."""

_FIELD_OF = {column: field for field, column in _COLUMN_OF.items()}


class StoreUnavailableError(Exception):
    """The store cannot be read or written now (disk full, read-only, damaged); the message says why."""


class StoreDamagedError(Exception):
    """The database cannot be used at all; the message names the file and what to do."""


class Database:
    """One connection and the one thread that uses it. Make it with `open`."""

    def __init__(self, connection: sqlite3.Connection, thread: ThreadPoolExecutor) -> None:
        self._connection = connection
        self._thread = thread
        self._closed = False

    @classmethod
    async def open(cls, file: Path, backups: Path) -> "Database":
        """Open or create the file, check it, and bring it to the newest schema.

        Raises:
            StoreDamagedError: it is damaged, or from a newer thord.
            StoreUnavailableError: it cannot be opened or written now.
        """
        thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
        try:
            connection = await asyncio.get_running_loop().run_in_executor(thread, _connect, file, backups)
        except BaseException:
            thread.shutdown(wait=False)
            raise
        return cls(connection, thread)

    async def close(self) -> None:
        """Finish what was begun and close the file."""
        await self.run(self._connection.close)
        self._closed = True
        self._thread.shutdown()

    async def run(self, call: Callable[[], _T]) -> _T:
        """Run ``call`` in the thread. Everything below is for use inside such a call.

        Raises:
            StoreUnavailableError: the database could not do it; nothing was written.
        """
        if self._closed:
            raise StoreUnavailableError("thord.db is closed: thord is stopping")
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, call)
        except sqlite3.DatabaseError as error:
            raise StoreUnavailableError(f"thord.db: {error}") from error

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All of the block, or nothing of it; on disk when it ends."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def execute(self, query: str, *values: Value) -> None:
        """Run a statement that returns nothing."""
        self._connection.execute(query, values)

    def scalar(self, query: str, *values: Value) -> Value:
        """The first column of the first row, or null."""
        row = self._connection.execute(query, values).fetchone()
        return None if row is None else row[0]

    def select(self, kind: type[_R], query: str, *values: Value) -> list[_R]:
        """Read the rows that a query finds, as records."""
        return [_from_row(kind, row) for row in self._connection.execute(query, values)]

    def insert(self, table: str, row: Mapping[str, Value]) -> int:
        """Add a row, and return its number."""
        return self._connection.execute(_insert(table, row), tuple(row.values())).lastrowid or 0

    def put(self, table: str, key: str, record: Record) -> None:
        """Write a record over the one with the same ``key``, or beside the others."""
        row = to_row(record)
        changes = ", ".join(f"{name} = excluded.{name}" for name in row if name != key)
        query = f"{_insert(table, row)} ON CONFLICT ({key}) DO UPDATE SET {changes}"
        self._connection.execute(query, tuple(row.values()))


def to_row(record: Record) -> dict[str, Value]:
    """The columns of a record, with JSON objects as text."""
    row: dict[str, Value] = {}
    for field, value in record.model_dump(mode="json").items():
        column = _COLUMN_OF.get(field, field)
        row[column] = json.dumps(value, ensure_ascii=False) if column in _JSON_COLUMNS and value is not None else value
    return row


def _from_row(kind: type[_R], row: sqlite3.Row) -> _R:
    columns = {name: row[name] for name in row.keys()}  # noqa: SIM118 — iterating a Row yields values
    for name in _JSON_COLUMNS & columns.keys():
        if columns[name] is not None:
            columns[name] = json.loads(columns[name])
    return kind.model_validate({_FIELD_OF.get(name, name): value for name, value in columns.items()})


def _insert(table: str, row: Mapping[str, Value]) -> str:
    return f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})"  # noqa: S608 — our own names


def _connect(file: Path, backups: Path) -> sqlite3.Connection:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite.open_database(
            file, schema.MIGRATIONS, check="integrity_check", wait_seconds=_WAIT_SECONDS, any_thread=True
        )
    except OSError as error:
        raise StoreUnavailableError(f"{file} cannot be opened: {error}") from error
    except sqlite3.OperationalError as error:
        raise StoreUnavailableError(f"{file} cannot be used: {error}") from error
    except sqlite.DamagedError as error:
        raise StoreDamagedError(f"{file} is damaged ({error}); {_remedy(file, backups)}") from error
    except sqlite.NewerSchemaError as error:
        raise StoreDamagedError(f"{file}: {error}") from error
    connection.row_factory = sqlite3.Row
    return connection


def _remedy(file: Path, backups: Path) -> str:
    away = f"move {file.name}, {file.name}-wal and {file.name}-shm away"
    copies = sorted(backups.glob(f"{file.stem}-*.db"))
    if copies:
        return f"{away} and copy the newest backup, {copies[-1]}, in its place"
    return f"there is no backup in {backups}; {away} to begin with an empty one"

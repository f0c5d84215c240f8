"""``chats.db``: what the server must not forget: sessions, and answers on their way to the inbox. Its one writer."""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from daemon import log, sqlite
from daemon.clock import time_of_day
from daemon.workers.server.errors import ApiError

MIGRATIONS = (
    """
    CREATE TABLE sessions (
        number INTEGER PRIMARY KEY,
        owner TEXT NOT NULL,                    -- sum of the API key; empty: of whoever needs none
        id TEXT NOT NULL,
        created_at REAL NOT NULL,
        updated_at REAL NOT NULL,
        bytes INTEGER NOT NULL DEFAULT 0,
        UNIQUE (owner, id)
    ) STRICT;
    CREATE TABLE turns (
        session INTEGER NOT NULL REFERENCES sessions (number) ON DELETE CASCADE,
        position INTEGER NOT NULL,
        role TEXT NOT NULL,
        content TEXT NOT NULL,
        version INTEGER,                        -- that said it; null: a person
        PRIMARY KEY (session, position)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE answers (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,                -- as the client knows it
        owner TEXT NOT NULL,
        at REAL NOT NULL,
        due_at REAL,                            -- null: not to be learned, or in the inbox
        batch INTEGER,                          -- of the file it is being written to
        whole INTEGER NOT NULL,                 -- the answer ended by itself
        messages TEXT NOT NULL,
        answer TEXT NOT NULL,
        edit TEXT
    ) STRICT;
    CREATE INDEX answers_due ON answers (due_at) WHERE due_at IS NOT NULL;
    """,
    """
    ALTER TABLE turns ADD COLUMN calls TEXT;    -- JSON: what is in a turn beside its content; null: nothing
    CREATE TABLE responses (
        id TEXT NOT NULL PRIMARY KEY,
        owner TEXT NOT NULL,
        session INTEGER NOT NULL REFERENCES sessions (number) ON DELETE CASCADE,
        turns INTEGER NOT NULL,                 -- of the session, up to and with this answer
        body TEXT NOT NULL                      -- as the client got it
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX responses_of_sessions ON responses (session);
    """,
)
"""See `daemon.sqlite`."""

T = TypeVar("T")
_logger = log.get(__name__)


class ChatDatabase:
    """One connection and the one thread that uses it."""

    def __init__(self, file: Path) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="chats")
        self._file = file
        self._connection: sqlite3.Connection | None = None

    async def run(self, call: Callable[[sqlite3.Connection], T]) -> T:
        """``call`` in the thread, in one transaction: all of it, or nothing; on disk when it returns.

        Raises:
            ApiError: 503, the database cannot be used now.
        """
        return await self._in_thread(lambda: self._run(call))

    async def compact(self) -> None:
        """Leave nothing of what was deleted in the file, nor in copies of a damaged one.

        Raises:
            ApiError: 503, the database cannot be used now.
        """
        await self._in_thread(self._compact)

    async def _in_thread(self, call: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, call)
        except (sqlite3.Error, OSError, sqlite.NewerSchemaError, sqlite.DamagedError) as error:
            _logger.error("chats.db cannot be used", file=str(self._file), reason=str(error))  # noqa: TRY400
            raise ApiError(503, "chats_unavailable", f"chats.db cannot be used now: {error}", retry_after=5) from error

    def _compact(self) -> None:
        if self._connection is not None:
            self._connection.execute("VACUUM")
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        for copy in self._file.parent.glob(f"{self._file.name}.damaged-*"):
            copy.unlink()

    def _run(self, call: Callable[[sqlite3.Connection], T]) -> T:
        if self._connection is None:
            self._connection = _open(self._file)
        with self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            return call(self._connection)


def _open(file: Path) -> sqlite3.Connection:
    """The database, checked and brought up to date. A damaged one is put aside: the server must answer."""
    try:
        return _opened(file)
    except sqlite.DamagedError as error:
        aside = file.with_name(f"{file.name}.damaged-{time_of_day():%Y%m%dT%H%M%S}")
        file.rename(aside)
        for more in ("-wal", "-shm"):
            file.with_name(file.name + more).unlink(missing_ok=True)
        _logger.error("chats.db is damaged: sessions begin anew", reason=str(error), kept_as=str(aside))  # noqa: TRY400
    return _opened(file)


def _opened(file: Path) -> sqlite3.Connection:
    file.touch(mode=0o600)
    return sqlite.open_database(file, MIGRATIONS, check="quick_check", wait_seconds=30.0, any_thread=True)

"""Events, and single values kept across restarts; the transaction that everything else in the store is written in."""

import asyncio
import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from pydantic import JsonValue

from daemon import log
from daemon.clock import utc_now
from daemon.supervisor.store.database import Database
from daemon.supervisor.store.records import Event

_logger = log.get(__name__)


class EventStore:
    """The tables ``events`` and ``meta``. Make it with `open`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._loop = asyncio.get_running_loop()
        self._said: list[tuple[str, dict[str, JsonValue]]] = []
        self._news = asyncio.Event()
        self._last_event = 0

    @classmethod
    async def open(cls, file: Path, backups: Path) -> Self:
        """Open or create the database, check it, and bring it to the newest schema.

        Raises:
            StoreDamagedError: it is damaged, or from a newer thord.
            StoreUnavailableError: it cannot be opened or written now.
        """
        return cls(await Database.open(file, backups))

    async def close(self) -> None:
        """Finish what was begun and close the database."""
        await self._database.close()

    async def note(self, kind: str, data: dict[str, JsonValue], noting: tuple[str, str] | None = None) -> None:
        """Append an event that belongs to no record, and keep a single value with it."""

        def append() -> None:
            with self._transaction():
                self._append(kind, data)
                if noting is not None:
                    self._set_meta(*noting)

        await self._database.run(append)

    async def newest_events(self, limit: int) -> list[Event]:
        """The newest events, newest first."""
        query = "SELECT * FROM events ORDER BY id DESC LIMIT ?"
        return await self._database.run(lambda: self._database.select(Event, query, limit))

    async def events_after(self, number: int, limit: int) -> list[Event]:
        """Events after the one of that number, oldest first."""
        query = "SELECT * FROM events WHERE id > ? ORDER BY id LIMIT ?"
        return await self._database.run(lambda: self._database.select(Event, query, number, limit))

    async def news_after(self, number: int) -> None:
        """Wait until there may be an event after the one of that number."""
        while self._last_event <= number:
            await self._news.wait()

    async def meta(self, key: str) -> str | None:
        """A single value kept across restarts."""

        def read() -> str | None:
            value = self._database.scalar("SELECT value FROM meta WHERE key = ?", key)
            return None if value is None else str(value)

        return await self._database.run(read)

    async def set_meta(self, key: str, value: str) -> None:
        """Keep a single value across restarts."""

        def write() -> None:
            with self._transaction():
                self._set_meta(key, value)

        await self._database.run(write)

    # In the thread -----------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._said.clear()
        with self._database.transaction():
            yield
        for kind, data in self._said:
            _logger.info(kind, **data)
        newest = int(self._database.scalar("SELECT seq FROM sqlite_sequence WHERE name = 'events'") or 0)
        self._loop.call_soon_threadsafe(self._announce, newest)

    def _announce(self, newest: int) -> None:
        self._last_event = newest
        self._news.set()
        self._news = asyncio.Event()

    def _append(self, kind: str, data: dict[str, JsonValue]) -> None:
        self._database.insert("events", {"at": utc_now(), "type": kind, "data": json.dumps(data, ensure_ascii=False)})
        self._said.append((kind, data))

    def _set_meta(self, key: str, value: str) -> None:
        self._database.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", key, value)

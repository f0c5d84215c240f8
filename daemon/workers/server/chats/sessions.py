"""Chats that the server remembers: a client sends what is new, and names the session.

A turn is kept when its answer is whole, before the client is told so; what was told is there after any crash. What is
kept is text, so a session goes on with whatever version serves. Two turns at once in one session: the later to end is
refused, for it does not know what the other said.
"""

import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from control.paths import version_name
from daemon.settings.sections import SessionSettings
from daemon.workers.server.chats import turns
from daemon.workers.server.chats.database import ChatDatabase
from daemon.workers.server.errors import ApiError
from engine.data.samples import Message

MAX_BYTES = 1 << 20
"""Of text in one session: far beyond what any context holds."""
_DAY = 86400.0


@dataclass(frozen=True, slots=True)
class Session:
    """What was said so far. ``number`` is null while nothing is kept yet."""

    owner: str
    id: str
    number: int | None
    messages: tuple[Message, ...]


class Sessions:
    """The sessions of every client; a client sees only its own."""

    def __init__(self, database: ChatDatabase, settings: SessionSettings) -> None:
        self.settings = settings
        self.database = database

    async def find(self, owner: str, name: str) -> Session:
        """A session as it is now; an empty one where there is none."""

        def read(database: sqlite3.Connection) -> Session:
            number = _number(database, owner, name)
            return Session(owner, name, number, () if number is None else turns.read(database, number))

        return await self.database.run(read)

    async def add(
        self,
        session: Session,
        said: Sequence[Message],
        version: int,
        and_keep: Callable[[sqlite3.Connection, int], None] = lambda _database, _number: None,
    ) -> None:
        """Keep a turn: what the client said, and the answer, which comes last and is of ``version``.

        ``and_keep`` is given the session's number, and writes in the same transaction.

        Raises:
            ApiError: 409, the session went on, or was deleted, meanwhile; 400, it is full.
        """

        def write(database: sqlite3.Connection) -> None:
            now = time.time()
            number = _number(database, session.owner, session.id)
            if number != session.number or (number and turns.count(database, number) != len(session.messages)):
                message = f"session {session.id!r} went on, or was deleted, while this was answered"
                raise ApiError(409, "session_changed", message, param="session")
            if number is None:
                number = self.begin(database, session.owner, session.id, now)
            self.extend(database, number, len(session.messages), said, version, now)
            and_keep(database, number)
            self.forget_old(database, session.owner, now)

        await self.database.run(write)

    def begin(self, database: sqlite3.Connection, owner: str, name: str, now: float) -> int:
        """The number of a new session, for whoever is in a transaction."""
        row = database.execute(
            "INSERT INTO sessions (owner, id, created_at, updated_at) VALUES (?, ?, ?, ?)", (owner, name, now, now)
        )
        return row.lastrowid or 0

    def extend(
        self, database: sqlite3.Connection, number: int, first: int, said: Sequence[Message], version: int, now: float
    ) -> None:
        """Add turns to a session that has ``first`` of them, for whoever is in a transaction.

        Raises:
            ApiError: 400, it is full.
        """
        turns.add(database, number, first, said, version)
        (held,) = database.execute(
            "UPDATE sessions SET updated_at = ?, bytes = bytes + ? WHERE number = ? RETURNING bytes",
            (now, turns.size(said), number),
        ).fetchone()
        if held > MAX_BYTES:
            message = f"this session holds {MAX_BYTES >> 20} MiB of text: begin another"
            raise ApiError(400, "session_full", message, param="session")

    async def list(self, owner: str) -> list[JsonValue]:
        """All sessions of a client, newest first."""

        def read(database: sqlite3.Connection) -> list[JsonValue]:
            self.forget_old(database, owner, time.time())
            query = f"{_DESCRIBE} WHERE owner = ? ORDER BY updated_at DESC"
            return [_described(row) for row in database.execute(query, (owner,))]

        return await self.database.run(read)

    async def describe(self, owner: str, name: str) -> dict[str, JsonValue]:
        """A session with all that was said.

        Raises:
            ApiError: 404, no session has this name.
        """

        def read(database: sqlite3.Connection) -> dict[str, JsonValue]:
            row = database.execute(f"{_DESCRIBE} WHERE owner = ? AND id = ?", (owner, name)).fetchone()
            if row is None:
                raise _missing(name)
            query = "SELECT role, content, version FROM turns WHERE session = ? ORDER BY position"
            said: list[JsonValue] = [
                {"role": role, "content": content, **({} if version is None else {"version": version_name(version)})}
                for role, content, version in database.execute(query, (_number(database, owner, name),))
            ]
            return {**_described(row), "messages": said}

        return await self.database.run(read)

    async def delete(self, owner: str, name: str) -> None:
        """Delete a session with its turns.

        Raises:
            ApiError: 404, no session has this name.
        """

        def write(database: sqlite3.Connection) -> None:
            if not database.execute("DELETE FROM sessions WHERE owner = ? AND id = ?", (owner, name)).rowcount:
                raise _missing(name)

        await self.database.run(write)

    def forget_old(self, database: sqlite3.Connection, owner: str, now: float) -> None:
        """Delete what was not used for long, and what is too much of one client, for whoever is in a transaction."""
        database.execute("DELETE FROM sessions WHERE updated_at < ?", (now - self.settings.keep_days * _DAY,))
        for of_responses in (False, True):  # programs that name no session do not push out those that people named
            database.execute(
                "DELETE FROM sessions WHERE number IN"
                " (SELECT number FROM sessions WHERE owner = ? AND (number IN (SELECT session FROM responses)) = ?"
                " ORDER BY updated_at DESC LIMIT -1 OFFSET ?)",
                (owner, of_responses, self.settings.max_per_client),
            )


_DESCRIBE = (
    "SELECT id, created_at, updated_at, (SELECT count(*) FROM turns WHERE session = number), bytes FROM sessions"
)


def _number(database: sqlite3.Connection, owner: str, name: str) -> int | None:
    row = database.execute("SELECT number FROM sessions WHERE owner = ? AND id = ?", (owner, name)).fetchone()
    return None if row is None else int(row[0])


def _described(row: tuple[str, float, float, int, int]) -> dict[str, JsonValue]:
    name, created, updated, messages, size = row
    return {
        "id": name,
        "object": "session",
        "created_at": int(created),
        "updated_at": int(updated),
        "message_count": messages,
        "bytes": size,
    }


def _missing(name: str) -> ApiError:
    return ApiError(404, "session_not_found", f"there is no session {name!r}", param="session")

"""Responses that the server remembers, so that a later request may go on from one: a place in a session each.

A response that follows the last one of its session extends that session. One that follows an earlier one, or one that
another client has continued meanwhile, begins a session with a copy of what was said up to there. The session has the
name of its first response.
"""

import json
import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue, TypeAdapter

from daemon.workers.server.chats import turns
from daemon.workers.server.chats.sessions import Sessions
from daemon.workers.server.errors import ApiError
from engine.data.samples import Message

MAX_BODIES = 16 << 20
"""Characters of the responses of one session: tools and instructions stand in each of them."""
_BODY: TypeAdapter[dict[str, JsonValue]] = TypeAdapter(dict[str, JsonValue])


@dataclass(frozen=True, slots=True)
class Earlier:
    """What was said up to and with the response ``response``."""

    response: str
    messages: tuple[Message, ...]


class Responses:
    """The responses of every client; a client sees only its own."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def find(self, owner: str, name: str) -> Earlier:
        """Where a request goes on that follows this response.

        Raises:
            ApiError: 404, there is none.
        """

        def read(database: sqlite3.Connection) -> Earlier:
            session, length, _ = _row(database, owner, name, "previous_response_id")
            return Earlier(name, turns.read(database, session, length))

        return await self._sessions.database.run(read)

    async def add(
        self,
        owner: str,
        name: str,
        after: Earlier | None,
        said: Sequence[Message],
        version: int,
        body: Mapping[str, JsonValue],
    ) -> None:
        """Keep a response: what the client said, and the answer, which comes last and is of ``version``.

        Raises:
            ApiError: 404, what it follows was deleted meanwhile; 400, there is too much of it: nothing was kept.
        """

        def write(database: sqlite3.Connection) -> None:
            now = time.time()
            session, first = self._continued(database, owner, name, after, now)
            self._sessions.extend(database, session, first, said, version, now)
            database.execute(
                "INSERT INTO responses (id, owner, session, turns, body) VALUES (?, ?, ?, ?, ?)",
                (name, owner, session, first + len(said), json.dumps(body, ensure_ascii=False)),
            )
            query = "SELECT sum(length(body)) FROM responses WHERE session = ?"
            if database.execute(query, (session,)).fetchone()[0] > MAX_BODIES:
                message = f"the responses of this chain hold {MAX_BODIES >> 20} MiB: begin another, or delete some"
                raise ApiError(400, "session_full", message, param="previous_response_id")
            self._sessions.forget_old(database, owner, now)

        await self._sessions.database.run(write)

    async def get(self, owner: str, name: str) -> dict[str, JsonValue]:
        """A response as the client got it.

        Raises:
            ApiError: 404, there is none.
        """

        def read(database: sqlite3.Connection) -> dict[str, JsonValue]:
            return _BODY.validate_json(_row(database, owner, name, "response_id")[2])

        return await self._sessions.database.run(read)

    async def delete(self, owner: str, name: str) -> None:
        """Delete a response. What was said goes with the last response that follows from it.

        Raises:
            ApiError: 404, there is none.
        """

        def write(database: sqlite3.Connection) -> None:
            session, _, _ = _row(database, owner, name, "response_id")
            database.execute("DELETE FROM responses WHERE id = ?", (name,))
            (last,) = database.execute("SELECT max(turns) FROM responses WHERE session = ?", (session,)).fetchone()
            if last is None:
                database.execute("DELETE FROM sessions WHERE number = ?", (session,))
            else:
                database.execute("DELETE FROM turns WHERE session = ? AND position >= ?", (session, last))
                size = turns.size(turns.read(database, session))
                database.execute("UPDATE sessions SET bytes = ? WHERE number = ?", (size, session))

        await self._sessions.database.run(write)

    def _continued(
        self, database: sqlite3.Connection, owner: str, name: str, after: Earlier | None, now: float
    ) -> tuple[int, int]:
        """The session that the response belongs to, and how many turns it has."""
        if after is None:
            return self._sessions.begin(database, owner, name, now), 0
        before, length, _ = _row(database, owner, after.response, "previous_response_id")
        if turns.count(database, before) == length:
            return before, length
        session = self._sessions.begin(database, owner, name, now)
        turns.copy(database, before, length, session)
        database.execute("UPDATE sessions SET bytes = ? WHERE number = ?", (turns.size(after.messages), session))
        return session, length


def _row(database: sqlite3.Connection, owner: str, name: str, param: str) -> tuple[int, int, str]:
    """Session, number of turns, and body of a response."""
    query = "SELECT session, turns, body FROM responses WHERE id = ? AND owner = ?"
    found: tuple[int, int, str] | None = database.execute(query, (name, owner)).fetchone()
    if found is None:
        code = "previous_response_not_found" if param == "previous_response_id" else "response_not_found"
        says = "it was never stored, was deleted, or has not been used for sessions.keep_days"
        raise ApiError(404, code, f"there is no response {name[:100]!r}: {says}", param=param)
    return found

"""Chats with versions of runs: sessions as everywhere, each under the name of its run, with the answers of jobs.

A turn and the answer of its job are kept in one transaction, so a job that is tried again after a crash finds what the
attempt before had kept, and no turn is there twice.
"""

import datetime
import json
import sqlite3
from collections.abc import Mapping, Sequence

from pydantic import JsonValue

from control.answers import Json
from daemon.clock import moment
from daemon.workers.server.chats.sessions import Session, Sessions
from daemon.workers.server.errors import ApiError
from engine.data.samples import Message


class RunChats:
    """The chats of every client with every run; a client sees only its own."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def find(self, owner: str, run: str, session: str) -> Session:
        """A chat as it is now; an empty one where there is none."""
        return await self._sessions.find(owner, _name(run, session))

    async def answered(self, owner: str, request: str) -> dict[str, Json] | None:
        """What was kept as the answer to a request; null where nothing was."""

        def read(database: sqlite3.Connection) -> str | None:
            query = "SELECT body FROM responses WHERE id = ? AND owner = ?"
            row = database.execute(query, (_answer_name(request), owner)).fetchone()
            return None if row is None else str(row[0])

        body = await self._sessions.database.run(read)
        return None if body is None else _json(body)

    async def add(
        self, session: Session, said: Sequence[Message], version: int, request: str, answer: Mapping[str, Json]
    ) -> None:
        """Keep a turn, whose answer is of ``version``, and the result of the request that it answers.

        Raises:
            ApiError: 409, the chat went on, or was deleted, meanwhile; 400, it is full.
        """

        def keep(database: sqlite3.Connection, number: int) -> None:
            database.execute(
                "INSERT INTO responses (id, owner, session, turns, body) VALUES (?, ?, ?, ?, ?)",
                (
                    _answer_name(request),
                    session.owner,
                    number,
                    len(session.messages) + len(said),
                    json.dumps(answer, ensure_ascii=False),
                ),
            )

        await self._sessions.add(session, said, version, keep)

    async def history(self, owner: str, run: str, session: str) -> dict[str, JsonValue]:
        """All that was said (``messages``), and when it began (``created_at``).

        Raises:
            ApiError: 404, there is no such chat.
        """
        try:
            found = await self._sessions.describe(owner, _name(run, session))
        except ApiError as error:
            raise _missing(error, run, session) from None
        began = found["created_at"]
        at = datetime.datetime.fromtimestamp(began if isinstance(began, int) else 0, datetime.UTC)
        return {"messages": found["messages"], "created_at": moment(at)}

    async def delete(self, owner: str, run: str, session: str) -> None:
        """Delete a chat with all that was said.

        Raises:
            ApiError: 404, there is no such chat.
        """
        try:
            await self._sessions.delete(owner, _name(run, session))
        except ApiError as error:
            raise _missing(error, run, session) from None


def _name(run: str, session: str) -> str:
    """A chat as `Sessions` has it. No name of a run holds a colon."""
    return f"{run}:{session}"


def _answer_name(request: str) -> str:
    return f"run_chat_{request}"


def _json(body: str) -> dict[str, Json]:
    found: dict[str, Json] = json.loads(body)
    return found


def _missing(error: ApiError, run: str, session: str) -> ApiError:
    if error.status != 404:
        return error
    return ApiError(404, "session_not_found", f"run {run!r} has no chat {session!r}")

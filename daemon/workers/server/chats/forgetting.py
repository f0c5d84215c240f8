"""Erasing chats: what the ledger was told to forget, and all that one owner said."""

import json
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import JsonValue

from daemon import sqlite
from daemon.messages import ChatsForgotten, ForgetChats
from daemon.workers.forgotten import Forgotten
from daemon.workers.server.chats.conversation_log import line_of
from daemon.workers.server.chats.database import ChatDatabase
from engine.data.records import registry
from engine.data.records.limits import FormatError, Limits
from engine.data.samples import Sample

IsForgotten = Callable[[Sample, str], bool]


async def forget(command: ForgetChats, chats: ChatDatabase, ledger: Path) -> ChatsForgotten:
    """Delete sessions and answers that the ledger forgot, or that are of the owner named; nothing of them is left.

    What is redacted on its way to be learned is not recognised in a session, which holds it as it was said.

    Raises:
        ApiError: chats.db cannot be used now.
        sqlite3.Error: the ledger cannot be read now.
    """

    def erase(database: sqlite3.Connection) -> tuple[int, int]:
        with sqlite.open_to_read(ledger) as known:
            holds = Forgotten(known).holds
            sessions = _of_owner(database, "sessions", command.owner) | _sessions(database, holds)
            answers = _of_owner(database, "answers", command.owner) | _answers(database, holds)
        database.execute("DELETE FROM turns WHERE session IN (SELECT value FROM json_each(?))", (_json(sessions),))
        database.execute("DELETE FROM sessions WHERE number IN (SELECT value FROM json_each(?))", (_json(sessions),))
        database.execute("DELETE FROM answers WHERE number IN (SELECT value FROM json_each(?))", (_json(answers),))
        return len(sessions), len(answers)

    sessions, answers = await chats.run(erase)
    await chats.compact()
    return ChatsForgotten(to=command.id, sessions=sessions, answers=answers)


def _of_owner(database: sqlite3.Connection, table: str, owner: str | None) -> set[int]:
    query = f"SELECT number FROM {table} WHERE owner = ?"  # noqa: S608 - our own names
    return set() if owner is None else {number for (number,) in database.execute(query, (owner,))}


def _sessions(database: sqlite3.Connection, is_forgotten: IsForgotten) -> set[int]:
    """Sessions that hold what is forgotten; responses also by what stood before them: their instructions."""
    found: dict[int, list[JsonValue]] = {}
    for session, role, content in database.execute(
        "SELECT session, role, content FROM turns ORDER BY session, position"
    ):
        found.setdefault(session, []).append({"role": role, "content": content})
    forgotten = {number for number, messages in found.items() if _is_any({"messages": messages}, is_forgotten)}
    query = "SELECT session, turns, json_extract(body, '$.instructions') FROM responses"
    for session, length, instructions in database.execute(query):
        opening: JsonValue = {"role": "system", "content": instructions}
        if instructions and _is_any({"messages": [opening, *found[session][:length]]}, is_forgotten):
            forgotten.add(session)
    return forgotten


def _answers(database: sqlite3.Connection, is_forgotten: IsForgotten) -> set[int]:
    found: set[int] = set()
    for number, messages, answer, edit, owner in database.execute(
        "SELECT number, messages, answer, edit, owner FROM answers"
    ):
        said: Sequence[str | None] = (None,) if edit is None else (None, edit)
        lines = (json.loads(line_of(json.loads(messages), answer, each, owner)) for each in said)
        if any(_is_any(line, is_forgotten) for line in lines):
            found.add(number)
    return found


def _is_any(record: JsonValue, is_forgotten: IsForgotten) -> bool:
    """Whether any sample of a record is forgotten, as the intake would read it."""
    try:
        found = [each for each in registry.parse(record, Limits()) if not isinstance(each, FormatError)]
    except FormatError:
        return False
    return any(is_forgotten(sample, sample.identity) for sample in found)


def _json(numbers: set[int]) -> str:
    return json.dumps(sorted(numbers))

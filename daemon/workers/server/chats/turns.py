"""Turns of sessions as they are kept: text, for people and for what forgets, and beside it what templates ask for."""

import json
import sqlite3
from collections.abc import Iterator, Sequence

from pydantic import JsonValue, TypeAdapter

from engine.data.samples import ROLES, Message, ToolCall

_Call = tuple[str, JsonValue, str]
_Beside = tuple[str, list[_Call], str, str]
"""A turn's own content, its calls (name, arguments, id), its name, and the call it answers."""
_BESIDE: TypeAdapter[_Beside] = TypeAdapter(_Beside)


def add(database: sqlite3.Connection, session: int, first: int, said: Sequence[Message], version: int) -> None:
    """Write turns from place ``first`` on; the last is an answer, by ``version``."""
    by = [None] * (len(said) - 1) + [version]
    rows = [(session, first + n, each.role, each.plain_content, by[n], _beside(each)) for n, each in enumerate(said)]
    database.executemany(
        "INSERT INTO turns (session, position, role, content, version, calls) VALUES (?, ?, ?, ?, ?, ?)", rows
    )


def copy(database: sqlite3.Connection, session: int, most: int, to: int) -> None:
    """Write the first ``most`` turns of a session into another that has none."""
    database.execute(
        "INSERT INTO turns (session, position, role, content, version, calls)"
        " SELECT ?, position, role, content, version, calls FROM turns WHERE session = ? AND position < ?",
        (to, session, most),
    )


def count(database: sqlite3.Connection, session: int) -> int:
    """How many there are."""
    (length,) = database.execute("SELECT count(*) FROM turns WHERE session = ?", (session,)).fetchone()
    return int(length)


def read(database: sqlite3.Connection, session: int, most: int = -1) -> tuple[Message, ...]:
    """The first ``most`` turns; -1: all."""
    query = "SELECT role, content, calls FROM turns WHERE session = ? ORDER BY position LIMIT ?"
    roles = {role: role for role in ROLES}
    rows = database.execute(query, (session, most))
    return tuple(_whole(Message(roles[role], content), beside) for role, content, beside in rows)


def size(said: Sequence[Message]) -> int:
    """Bytes of text, names and ids among it."""
    return sum(len(text.encode()) for message in said for text in _texts(message))


def _texts(message: Message) -> Iterator[str]:
    yield from (message.plain_content, message.name, message.tool_call_id)
    yield from (call.id for call in message.tool_calls)


def _beside(message: Message) -> str | None:
    if not (message.tool_calls or message.name or message.tool_call_id):
        return None
    calls: list[JsonValue] = [[call.name, call.arguments, call.id] for call in message.tool_calls]
    return json.dumps([message.content, calls, message.name, message.tool_call_id], ensure_ascii=False)


def _whole(plain: Message, beside: str | None) -> Message:
    if beside is None:
        return plain
    content, calls, name, answers = _BESIDE.validate_json(beside)
    return Message(plain.role, content, tuple(ToolCall(*call) for call in calls), name, answers)

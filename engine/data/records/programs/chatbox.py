"""Chatbox: a session by itself, or a backup of all of them.

Source: "Export data" of Chatbox (``{"session:ID": {"messages": [{"role", "contentParts"}], "threads": [...]}}``, in
older versions ``{"chat-sessions": [...]}``). Each thread that was put away is a conversation of its own.
"""

from collections.abc import Sequence

from engine.data.records.content.endings import is_broken_off
from engine.data.records.dialogue import Turn, dialogue_of
from engine.data.records.limits import FormatError, Limits
from engine.data.records.roles import role_of
from engine.data.records.shape import Parsed, RecordShape
from engine.data.records.values import Record, is_record, records, string, texts

_SESSION = "session:"
_OLD = "chat-sessions"
_ATTACHED = ("files", "pictures", "links")


def _fits(record: Record) -> bool:
    return any(_sessions(record)) or any("contentParts" in each for each in records(record.get("messages")))


def _sessions(record: Record) -> list[Record]:
    named = [value for key, value in record.items() if key.startswith(_SESSION) and is_record(value)]
    return [*named, *records(record.get(_OLD))]


def _parse(record: Record, limits: Limits) -> Sequence[Parsed]:
    sessions = _sessions(record) or [record]
    talks = [talk for session in sessions for talk in (*records(session.get("threads")), session)]
    return [_conversation(talk, limits) for talk in talks if talk.get("messages")]


def _conversation(talk: Record, limits: Limits) -> Parsed:
    try:
        messages = enumerate(records(talk["messages"]), 1)
        return dialogue_of([_turn(message, number) for number, message in messages], limits)
    except FormatError as error:
        return FormatError(f"'{string(talk.get('name'))[:80]}': {error}")


def _turn(message: Record, number: int) -> Turn:
    if key := next((key for key in _ATTACHED if message.get(key)), ""):
        raise FormatError(f"turn {number}: '{key}' beside what was said: only text can be learned")
    text = texts(message.get("contentParts")) or string(message.get("content"))
    is_whole = not is_broken_off(message)
    return Turn(role_of(message.get("role"), number), text, weight=1 if is_whole else 0)


SHAPE = RecordShape("Chatbox's sessions {messages: [{contentParts}]}", _fits, _parse)

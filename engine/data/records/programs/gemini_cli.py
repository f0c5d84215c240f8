"""Gemini CLI: its sessions, and the log of what a person typed.

Source: `google-gemini/gemini-cli`, packages/core/src/services/chatRecordingService.ts (``~/.gemini/tmp/*/chats``:
``{"sessionId", "messages": [{"type": "user" | "gemini", "content", "thoughts", "toolCalls"}]}``) and logger.ts
(``logs.json``: ``[{"sessionId", "messageId", "type": "user", "message"}]``, without answers). Its checkpoints are lists
of Gemini's contents. Notices and errors are the program's own.
"""

import json
from typing import NoReturn

from engine.data.records.calls.tools import call_of
from engine.data.records.content.own_words import is_own
from engine.data.records.dialogue import Turn, dialogue_of
from engine.data.records.limits import FormatError, Limits
from engine.data.records.shape import RecordShape
from engine.data.records.values import Record, child, is_record, records, string
from engine.data.samples import Dialogue

_KINDS = ("user", "gemini", "info", "error", "warning")


def _fits(record: Record) -> bool:
    messages = records(record.get("messages"))
    return "sessionId" in record and bool(messages) and all(_is_message(each) for each in messages)


def _is_message(message: Record) -> bool:
    return message.get("type") in _KINDS and "content" in message and "role" not in message


def _parse(record: Record, limits: Limits) -> Dialogue:
    messages = enumerate(records(record["messages"]), 1)
    return dialogue_of([turn for number, message in messages for turn in _turns(message, number)], limits)


def _turns(message: Record, number: int) -> list[Turn]:
    said = _text(message, number)
    if message["type"] == "user":
        return [] if is_own(said) else [Turn("user", said)]
    if message["type"] != "gemini":
        return []
    listed = records(message.get("toolCalls"))
    calls = tuple(call_of(each, number) for each in listed)
    return [Turn("assistant", said, calls), *(_result(each) for each in listed)]


def _text(message: Record, number: int) -> str:
    """What a message says: a text, or parts.

    Raises:
        FormatError: a part is something other than text.
    """
    content = message["content"]
    if isinstance(content, str):
        return content
    said = []
    for part in content if isinstance(content, list) else [content]:
        if isinstance(part, str):
            said.append(part)
        elif not is_record(part) or "text" not in part:
            raise FormatError(f"turn {number}: a part without text: only text can be learned")
        elif not part.get("thought"):
            said.append(string(part["text"]))
    return "\n".join(said)


def _result(call: Record) -> Turn:
    """What a tool gave."""
    given = [child(child(each, "functionResponse"), "response") for each in records(call.get("result"))]
    said = [string(each.get("output")) or json.dumps(each, ensure_ascii=False) for each in given]
    return Turn("tool", "\n".join(said), (), string(call.get("name")), string(call.get("id")))


def _is_log(record: Record) -> bool:
    return {"sessionId", "messageId", "type", "message"} <= record.keys()


def _refuse(record: Record, limits: Limits) -> NoReturn:
    del record, limits
    raise FormatError("Gemini CLI's logs.json has only what was typed, without answers: the sessions are in chats/")


SHAPES = (
    RecordShape("Gemini CLI's sessions {sessionId, messages}", _fits, _parse, ("sessionId",)),
    RecordShape("Gemini CLI's log", _is_log, _refuse, ("messageId",)),
)

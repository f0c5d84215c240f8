"""Sessions of Claude Code, a line of JSON each: messages, and what the program notes for itself.

Source: ``~/.claude/projects/*/*.jsonl``. Thoughts, side chains, failed requests, and the commands of the program with
what they print are left out. Every line names the one behind which it was written (``parentUuid``); which of them are
the conversation, `engine.data.records.sessions.branches` says.
"""

import re
from collections.abc import Sequence

from engine.data.records.content.own_words import is_of_program
from engine.data.records.dialogue import Turn
from engine.data.records.messages import turns_in
from engine.data.records.order import Row
from engine.data.records.values import Record, child, string

_OWN_LINES = ("summary", "file-history-snapshot", "queue-operation", "progress")
_OWN_MARKS = ("isSidechain", "isMeta", "isApiErrorMessage", "isCompactSummary", "isVisibleInTranscriptOnly")
_COMMAND = re.compile(r"\s*<(?:command-(?:name|message|args)|local-command-(?:stdout|stderr|caveat))>")


def is_line(record: Record) -> bool:
    """Whether this is a line of such a session."""
    kind = record.get("type")
    return isinstance(kind, str) and (
        ("sessionId" in record and "uuid" in record)
        or "leafUuid" in record
        or (kind in _OWN_LINES and ("sessionId" in record or "snapshot" in record))
    )


def row_of(record: Record, number: int) -> Row:
    """A line as a row.

    Raises:
        FormatError: it holds something other than text.
    """
    return Row(
        tuple(_turns_in(record, number)),
        name=string(record.get("uuid")),
        follows=string(record.get("parentUuid")),
        sums_up=bool(record.get("isCompactSummary")),
    )


def _turns_in(record: Record, number: int) -> Sequence[Turn]:
    message = child(record, "message")
    is_own = record["type"] not in ("user", "assistant") or any(record.get(mark) for mark in _OWN_MARKS)
    content = message.get("content")
    if is_own or not message or _COMMAND.match(string(content)) or is_of_program(message):
        return ()
    return turns_in({"role": message.get("role"), "content": content}, number)

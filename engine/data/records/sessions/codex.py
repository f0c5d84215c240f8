"""Sessions of Codex, a line of JSON each: items of OpenAI's Responses, and what the program notes for itself.

Source: ``~/.codex/sessions/*/rollout-*.jsonl`` of `openai/codex` (``{"timestamp", "type": "response_item", "payload":
item}``; in older versions the items themselves behind a line with ``instructions``). Every message stands there a
second time as an event of the page (``event_msg``). Thoughts, settings of a turn and summaries are left out.
"""

from engine.data.records.calls import responses
from engine.data.records.content.own_words import is_of_program
from engine.data.records.messages import turns_in
from engine.data.records.order import Row
from engine.data.records.values import Record, child, is_record

_ITEM = "response_item"
_OWN_LINES = ("session_meta", "turn_context", "event_msg", "compacted", "ghost_snapshot")
_HEADER = frozenset(("id", "timestamp", "instructions", "git"))


def is_line(record: Record) -> bool:
    """Whether this is a line of such a session, or an item of Responses by itself."""
    if is_record(record.get("payload")):
        return record.get("type") in (_ITEM, *_OWN_LINES)
    return _is_old(record) or responses.is_item(record)


def _is_old(record: Record) -> bool:
    """Whether this is a line of the older form that no other reader knows."""
    if record.get("type") == "message":
        return "role" in record and is_of_program(record)
    return record.get("record_type") == "state" or _is_header(record)


def _is_header(record: Record) -> bool:
    return record.keys() <= _HEADER and {"id", "timestamp", "instructions"} <= record.keys()


def row_of(record: Record, number: int) -> Row:
    """A line as a row.

    Raises:
        FormatError: it holds something other than text.
    """
    kind = record.get("type")
    if kind == "session_meta" or _is_header(record):
        return Row((), begins=True)
    item = child(record, "payload") if kind == _ITEM else record
    is_said = responses.is_item(item) or ("role" in item and item.get("role") != "developer")
    if kind in _OWN_LINES or not is_said or is_of_program(item):
        return Row(())
    return Row(tuple(turn for message in responses.in_messages([item]) for turn in turns_in(message, number)))

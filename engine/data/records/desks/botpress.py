"""Botpress: messages with a direction, as its API lists them and its table of events holds them.

Source: Botpress Cloud's ``listMessages`` (``{"direction", "payload": {"text"}, "conversationId"}``) and the events of
Botpress 12, which name their ``threadId``. What comes in is asked, what goes out is answered.
"""

from engine.data.records.dialogue import Turn
from engine.data.records.limits import FormatError
from engine.data.records.order import Row, placed
from engine.data.records.values import Record, child, string
from engine.data.samples import Role

_ROLES: dict[str, Role] = {"incoming": "user", "outgoing": "assistant"}


def is_message(record: Record) -> bool:
    """Whether this is a message of Botpress."""
    return string(record.get("direction")) in _ROLES and isinstance(record.get("payload"), dict)


def row_of(record: Record, number: int) -> Row:
    """A message as a row.

    Raises:
        FormatError: it holds something other than text.
    """
    text = child(record, "payload").get("text")
    if not isinstance(text, str):
        raise FormatError(f"turn {number}: a message of type {record.get('type')!r}: only text can be learned")
    return placed(record, [Turn(_ROLES[str(record["direction"])], text)])

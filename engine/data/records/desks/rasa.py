"""Rasa: trackers with their events, and events a line.

Sources: Rasa's tracker store (``{"sender_id", "events": [{"event": "user", "text"}, ...]}``), and what ``rasa export``
and event brokers write (``{"sender_id", "event", "text"}``).
"""

from engine.data.records.dialogue import Turn, dialogue_of
from engine.data.records.limits import FormatError, Limits
from engine.data.records.order import Row, placed
from engine.data.records.shape import RecordShape
from engine.data.records.values import Record, records, string
from engine.data.samples import Dialogue, Role

_ROLES: dict[str, Role] = {"user": "user", "bot": "assistant"}
_TAKEN_BACK = ("restart", "rewind", "undo")


def _fits(record: Record) -> bool:
    return "sender_id" in record and isinstance(record.get("events"), list)


def _parse(record: Record, limits: Limits) -> Dialogue:
    return dialogue_of([turn for event in records(record["events"]) for turn in _turns(event)], limits)


def _turns(event: Record) -> list[Turn]:
    """What an event says; nothing where it is the bot's own.

    Raises:
        FormatError: something was taken back.
    """
    kind = string(event.get("event"))
    if kind in _TAKEN_BACK:
        raise FormatError(f"a tracker with the event {kind!r}: it does not say which turns were taken back")
    return [Turn(_ROLES[kind], string(event.get("text")))] if kind in _ROLES else []


def is_event(record: Record) -> bool:
    """Whether this is an event with the id of its conversation."""
    return isinstance(record.get("event"), str) and isinstance(record.get("sender_id"), str | int)


def row_of(record: Record, number: int) -> Row:
    """An event as a row.

    Raises:
        FormatError: something was taken back.
    """
    del number
    return placed(record, _turns(record))


SHAPE = RecordShape("Rasa's trackers {sender_id, events}", _fits, _parse, ("events",))

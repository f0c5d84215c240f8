"""Desks and assistants that people run: Zendesk's tickets, trackers of Rasa.

Sources: Zendesk's API of tickets with their comments; Rasa's tracker store (``events``).
"""

from engine.data.records.dialogue import Turn, dialogue_of
from engine.data.records.exports.values import Record, records, string
from engine.data.records.limits import FormatError, Limits
from engine.data.records.shape import RecordShape
from engine.data.samples import Dialogue


def _is_ticket(record: Record) -> bool:
    comments = records(record.get("comments"))
    return bool(comments) and "requester_id" in record and all("author_id" in comment for comment in comments)


def _parse_ticket(record: Record, limits: Limits) -> Dialogue:
    """What the requester writes is asked, what others write is answered; private notes are not part of it."""
    asker = record["requester_id"]
    public = [comment for comment in records(record["comments"]) if comment.get("public", True)]
    turns = [
        Turn("user" if each["author_id"] == asker else "assistant", string(each.get("plain_body") or each.get("body")))
        for each in public
    ]
    return dialogue_of(turns, limits)


def _is_tracker(record: Record) -> bool:
    return "sender_id" in record and isinstance(record.get("events"), list)


def _parse_tracker(record: Record, limits: Limits) -> Dialogue:
    turns = []
    for event in records(record["events"]):
        if event.get("event") in ("restart", "rewind", "undo"):
            raise FormatError(f"a tracker with the event {event['event']!r}: what was taken back is not known")
        if event.get("event") in ("user", "bot"):
            turns.append(Turn("user" if event["event"] == "user" else "assistant", string(event.get("text"))))
    return dialogue_of(turns, limits)


SHAPES = (
    RecordShape("Zendesk's tickets {requester_id, comments}", _is_ticket, _parse_ticket),
    RecordShape("Rasa's trackers {sender_id, events}", _is_tracker, _parse_tracker),
)

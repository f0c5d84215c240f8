"""Intercom's conversations: the message that began one, and its parts in HTML.

Source: Intercom's API and export of conversations (``{"source": {"author", "body"}, "conversation_parts": {...}}``).
Users and leads ask, admins and bots answer; notes, assignments and the like are the desk's own.
"""

from engine.data.records.dialogue import Turn, dialogue_of
from engine.data.records.exports.markup import plain
from engine.data.records.limits import FormatError, Limits
from engine.data.records.shape import RecordShape
from engine.data.records.values import Record, child, records, string
from engine.data.samples import Dialogue

_ASKERS = ("user", "lead", "contact", "visitor")
_BAD = (1, 2)
"""Ratings of five."""
_OWN = ("note", "assignment", "close", "open", "note_and_reopen")


def _fits(record: Record) -> bool:
    return isinstance(record.get("conversation_parts"), dict | list)


def _parse(record: Record, limits: Limits) -> Dialogue:
    parts = record["conversation_parts"]
    listed = records(
        parts if isinstance(parts, list) else child(record, "conversation_parts").get("conversation_parts")
    )
    said = [child(record, "source"), *(part for part in listed if part.get("part_type") not in _OWN)]
    if child(record, "conversation_rating").get("rating") in _BAD:
        raise FormatError("a conversation that its customer rated 1 or 2 of 5: its answers are not learned")
    return dialogue_of([_turn(part) for part in said if part.get("body") or part.get("attachments")], limits)


def _turn(part: Record) -> Turn:
    is_asker = child(part, "author").get("type") in _ASKERS
    if is_asker and (part.get("attachments") or "<img" in string(part.get("body"))):
        raise FormatError("a question with a picture or a file: only text can be learned")
    return Turn("user" if is_asker else "assistant", plain(string(part.get("body"))))


SHAPE = RecordShape("Intercom's conversations {source, conversation_parts}", _fits, _parse, ("conversation_parts",))

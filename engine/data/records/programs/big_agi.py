"""big-AGI's conversations: messages made of fragments.

Source: `enricoros/big-AGI`, src/common/stores/chat/chat.fragments.ts (``{"messages": [{"role", "fragments": [{"ft",
"part": {"pt": "text", "text"}}]}]}``), by itself or in ``{"conversations": [...]}``. A document whose text is there was
seen by the model, and stands before what the person wrote. Thoughts, calls and errors are the program's own.
"""

from engine.data.records.content.endings import is_broken_off
from engine.data.records.dialogue import Turn, dialogue_of
from engine.data.records.limits import FormatError, Limits
from engine.data.records.roles import role_of
from engine.data.records.shape import RecordShape
from engine.data.records.values import Record, child, items, records, string
from engine.data.samples import Dialogue


def _fits(record: Record) -> bool:
    messages = records(record.get("messages"))
    return bool(messages) and all("role" in each and "fragments" in each for each in messages)


def _parse(record: Record, limits: Limits) -> Dialogue:
    return dialogue_of(
        [_turn(message, number) for number, message in enumerate(records(record["messages"]), 1)], limits
    )


def _turn(message: Record, number: int) -> Turn:
    parts = [child(fragment, "part") for fragment in records(items(message["fragments"]))]
    if any(part.get("pt") in ("image_ref", "reference") for part in parts):
        raise FormatError(f"turn {number}: a picture or a file: only text can be learned")
    documents = [string(child(part, "data").get("text")) for part in parts if part.get("pt") == "doc"]
    said = [string(part.get("text")) for part in parts if part.get("pt") == "text"]
    has_failed = is_broken_off(message) or any(part.get("pt") == "error" for part in parts)
    text = "\n\n".join([*filter(None, documents), "\n".join(said)])
    return Turn(role_of(message["role"], number), text, weight=0 if has_failed else 1)


SHAPE = RecordShape("big-AGI's messages {fragments}", _fits, _parse, ("messages",))
"""Asked before the shapes of other messages: these have no content beside their fragments."""

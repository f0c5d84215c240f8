"""GitHub Copilot's chats: ``requests``, each a message with the parts of its response.

Source: the command "Chat: Export Chat" of VS Code.
"""

from pydantic import JsonValue

from engine.data.records.dialogue import Turn, dialogue_of
from engine.data.records.exports.values import Record, child, items, records, string
from engine.data.records.limits import Limits
from engine.data.records.shape import RecordShape
from engine.data.samples import Dialogue


def _fits(record: Record) -> bool:
    return isinstance(record.get("requests"), list) and "responderUsername" in record


def _parse(record: Record, limits: Limits) -> Dialogue:
    turns = []
    for request in records(record["requests"]):
        turns.append(Turn("user", string(child(request, "message").get("text"))))
        turns.append(Turn("assistant", "".join(_value(part) for part in items(request.get("response")))))
    return dialogue_of(turns, limits)


def _value(part: JsonValue) -> str:
    """The words of a part; parts that have a kind are the program's own: progress, references, edits."""
    if not isinstance(part, dict) or part.get("kind") not in (None, "markdownContent"):
        return ""
    value = part.get("value", child(part, "content").get("value"))
    return string(value)


SHAPE = RecordShape("GitHub Copilot's {requests}", _fits, _parse)

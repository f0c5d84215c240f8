"""GitHub Copilot's chats: ``requests``, each a message with the parts of its response.

Source: the command "Chat: Export Chat" of VS Code.
"""

from pydantic import JsonValue

from engine.data.records.dialogue import Turn, dialogue_of
from engine.data.records.limits import Limits
from engine.data.records.shape import RecordShape
from engine.data.records.values import Record, child, items, records, string
from engine.data.samples import Dialogue

_DOWN = 0
"""The vote of a person who found an answer bad."""


def _fits(record: Record) -> bool:
    return isinstance(record.get("requests"), list) and "responderUsername" in record


def _parse(record: Record, limits: Limits) -> Dialogue:
    turns = []
    for request in records(record["requests"]):
        turns.append(Turn("user", string(child(request, "message").get("text"))))
        answer = "".join(_value(part) for part in items(request.get("response")))
        is_whole = not request.get("isCanceled") and request.get("vote") != _DOWN
        turns.append(Turn("assistant", answer, weight=1 if is_whole else 0))
    return dialogue_of(turns, limits)


def _value(part: JsonValue) -> str:
    """The words of a part; parts of most kinds are the program's own: progress, edits, tools at work."""
    if isinstance(part, dict) and part.get("kind") == "inlineReference":
        reference = child(part, "inlineReference")
        path = string(reference.get("path")) or string(child(reference, "uri").get("path"))
        return string(part.get("name")) or string(reference.get("name")) or path.rsplit("/", 1)[-1]
    if not isinstance(part, dict) or part.get("kind") not in (None, "markdownContent"):
        return ""
    value = part.get("value", child(part, "content").get("value"))
    return string(value)


SHAPE = RecordShape("GitHub Copilot's {requests}", _fits, _parse, ("requests",))

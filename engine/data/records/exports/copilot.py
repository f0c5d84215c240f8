"""GitHub Copilot's chats: ``requests``, each a message with the parts of its response.

Source: the command "Chat: Export Chat" of VS Code.
"""

from pydantic import JsonValue

from engine.data.records.dialogue import Turn, dialogue_of
from engine.data.records.limits import FormatError, Limits
from engine.data.records.shape import RecordShape
from engine.data.records.values import Record, child, items, records, string
from engine.data.samples import Dialogue

_ATTACHED = ("file", "directory", "image")
_DOWN = 0
"""The vote of a person who found an answer bad."""


def _fits(record: Record) -> bool:
    return isinstance(record.get("requests"), list) and "responderUsername" in record


def _parse(record: Record, limits: Limits) -> Dialogue:
    turns = []
    for request in records(record["requests"]):
        _check_has_nothing_attached(request)
        turns.append(Turn("user", string(child(request, "message").get("text"))))
        answer = "".join(_value(part) for part in items(request.get("response")))
        is_failed = bool(child(request, "result").get("errorDetails"))
        is_whole = not request.get("isCanceled") and not is_failed and request.get("vote") != _DOWN
        turns.append(Turn("assistant", answer, weight=1 if is_whole else 0))
    return dialogue_of(turns, limits)


def _check_has_nothing_attached(request: Record) -> None:
    """Only text can be learned.

    Raises:
        FormatError: the person attached a file, a folder or a picture to a request.
    """
    for variable in records(child(request, "variableData").get("variables")):
        if variable.get("kind") in _ATTACHED or variable.get("isFile") or variable.get("isImage"):
            name = string(variable.get("name"))[:80]
            raise FormatError(f"a request with {name!r} attached: only text can be learned")


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

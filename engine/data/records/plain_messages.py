"""The shapes that most records are of, read without asking whether they are of any other.

Whatever is not exactly ``{"messages": [{"role", "content"}, ...]}`` or ``{"conversations": [{"from", "value"}, ...]}``,
with strings in it, goes the way of all shapes (`engine.data.records.registry`), by which these would be read the same.
"""

from pydantic import JsonValue
from pydantic_core import from_json

from engine.data.records.content.pictures import MARK, check_has_no_picture
from engine.data.records.content.thoughts import END
from engine.data.records.limits import FormatError, Limits
from engine.data.records.roles import CALL_ROLES, KNOWN
from engine.data.records.text import clean
from engine.data.samples import Dialogue, Message

_FIELDS = {"messages": ("role", "content"), "conversations": ("from", "value")}
_LINES = (b'{"messages"', b'{"conversations"')
_ROLES = {name: role for name, role in KNOWN.items() if name not in CALL_ROLES}
_CALL = "<tool"
"""How every mark of a call in a text begins (`engine.data.records.calls.hermes`)."""


def parse_line(line: bytes, limits: Limits) -> Dialogue | None:
    """The dialogue in a line of JSON; none where it is not of these shapes, or is to be read with more care.

    `from_json` takes a third of the time of `json`. Some numbers come out otherwise, and it does not take every string,
    but a plain dialogue holds no number, and what it refuses goes the way of all lines. A line of as many bytes as a
    record may have objects and arrays cannot hold too many of them.
    """
    names = limits.names
    if not line.startswith(_LINES) or len(line) > limits.containers or len(line) > limits.record_bytes:
        return None
    if names.columns or names.words:  # they may rename what is in it
        return None
    try:
        record: JsonValue = from_json(line)
    except ValueError:
        return None
    return parse(record, limits) if isinstance(record, dict) else None


def parse(record: dict[str, JsonValue], limits: Limits) -> Dialogue | None:
    """The dialogue in a record of just these fields; none where it has others, or is to be refused."""
    if len(record) != 1:
        return None
    [(key, turns)] = record.items()
    fields = _FIELDS.get(key)
    if fields is None or not isinstance(turns, list) or len(turns) > limits.turns:
        return None
    who, what = fields
    messages: list[Message] = []
    is_answered = False
    for turn in turns:
        if not isinstance(turn, dict) or len(turn) != 2:
            return None
        name, content = turn.get(who), turn.get(what)
        role = _ROLES.get(name) if isinstance(name, str) else None
        if role is None or not isinstance(content, str) or _CALL in content or MARK in content or END in content:
            return None
        if said := clean(content):
            if said[0] == "<" and role == "assistant":  # perhaps thoughts
                return None
            if (said[0] in "<!" or said[-1] in ">)") and _shows_picture(said, is_asked=role == "user"):
                return None
            messages.append(Message(role, said))
            is_answered = is_answered or role == "assistant"
    return Dialogue(tuple(messages)) if is_answered else None


def _shows_picture(said: str, *, is_asked: bool) -> bool:
    """Whether a text is refused for a picture, of those that begin or end as one would."""
    try:
        check_has_no_picture(said, is_asked=is_asked)
    except FormatError:
        return True
    return False

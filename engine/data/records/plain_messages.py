"""The shapes that most records are of, read without asking whether they are of any other.

Whatever is not exactly ``{"messages": [{"role", "content"}, ...]}`` or ``{"conversations": [{"from", "value"}, ...]}``,
with strings in it, goes the way of all shapes (`engine.data.records.registry`), by which these would be read the same.
"""

from functools import lru_cache
from typing import NamedTuple

from pydantic import JsonValue
from pydantic_core import from_json

from engine.data.records.calls import cline
from engine.data.records.content.pictures import MARK, check_has_no_picture
from engine.data.records.content.thoughts import BEGINS, END
from engine.data.records.limits import FormatError, Limits
from engine.data.records.roles import CALL_ROLES, KNOWN
from engine.data.records.text import clean_all
from engine.data.samples import Dialogue, Message, Role

_FIELDS = {"messages": ("role", "content"), "conversations": ("from", "value")}
_LINES = (b'{"messages"', b'{"conversations"')
_ROLES = {name: role for name, role in KNOWN.items() if name not in CALL_ROLES}
_CALL = "<tool"
"""How every mark of a call in a text begins (`engine.data.records.calls.hermes`)."""


class PlainDialogue(NamedTuple):
    """The turns of a dialogue of which role and text are all there is, by columns: a large file has many of them."""

    roles: tuple[Role, ...]
    texts: list[str]

    @property
    def dialogue(self) -> Dialogue:
        """The dialogue itself."""
        return Dialogue(tuple(map(Message, self.roles, self.texts)))


def parse_line(line: bytes, limits: Limits) -> PlainDialogue | None:
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


def parse(record: dict[str, JsonValue], limits: Limits) -> PlainDialogue | None:
    """The dialogue in a record of just these fields; none where it has others, or is to be refused."""
    if len(record) != 1:
        return None
    [(key, turns)] = record.items()
    fields = _FIELDS.get(key)
    if fields is None or not isinstance(turns, list) or len(turns) > limits.turns:
        return None
    who, what = fields
    said = [(turn.get(who), turn.get(what)) for turn in turns if isinstance(turn, dict) and len(turn) == len(fields)]
    contents = [content for _, content in said if isinstance(content, str)]
    if len(contents) != len(turns) or _may_hold_more("".join(contents)):
        return None
    try:
        roles = _roles_of(tuple([name for name, _ in said]))
    except TypeError:  # a name that is no string
        return None
    if "assistant" not in roles:
        return None
    texts = clean_all(contents)
    if "" in texts:
        roles = tuple([role for role, text in zip(roles, texts, strict=True) if text])
        texts = list(filter(None, texts))
        if "assistant" not in roles:
            return None
    for role, text in zip(roles, texts, strict=True):
        if role == "assistant" and text.startswith(BEGINS):  # perhaps thoughts
            return None
        if (text[0] in "<!" or text[-1] in ">)") and _shows_picture(text, is_asked=role == "user"):
            return None
    return PlainDialogue(roles, texts)


@lru_cache(maxsize=64)
def _roles_of(names: tuple[JsonValue, ...]) -> tuple[Role, ...]:
    """The roles of those who speak, none where one of them is unknown; in most dialogues of a file the same do."""
    roles = [_ROLES.get(name) if isinstance(name, str) else None for name in names]
    return tuple([role for role in roles if role]) if all(roles) else ()


def _may_hold_more(text: str) -> bool:
    """Whether there is a mark of a call, of thoughts or of a picture; most texts have not even its first character."""
    return ("<" in text and (_CALL in text or END in text or cline.MARK in text)) or (";" in text and MARK in text)


def _shows_picture(said: str, *, is_asked: bool) -> bool:
    """Whether a text is refused for a picture, of those that begin or end as one would."""
    try:
        check_has_no_picture(said, is_asked=is_asked)
    except FormatError:
        return True
    return False

"""Records whose columns and speakers have other names than thord knows, under the names that thord knows.

The settings say which is which: ``[data.columns]`` where a record is of no known shape, ``[data.roles]`` and
``[data.speakers]`` where a message is said by somebody.
"""

import json
from collections.abc import Iterable, Mapping

from pydantic import JsonValue

from engine.data.records import registry, rows
from engine.data.records.limits import Limits
from engine.data.records.names.settings import Field, Names, key
from engine.data.records.names.spelling import is_capital, lower
from engine.data.records.values import Record, is_record
from engine.data.samples import Role

_WHO = ("role", "from", "sender", "speaker", "author")
_WHAT = ("content", "value", "text", "message")
_DEEPEST = 4
"""Lists in lists of messages, from the record on."""
_NAME_OF: dict[Field, str] = {
    "user": "prompt",
    "assistant": "response",
    "system": "system",
    "role": "role",
    "content": "content",
}


def as_known(value: JsonValue, limits: Limits) -> JsonValue:
    """A value with what the settings name under the names that thord knows; as it is, where they name nothing in it."""
    names = limits.names
    if is_record(value) and is_capital(value) and not rows.is_row(value) and rows.is_row(lowered := lower(value)):
        value = lowered
    if names.columns:
        value = [_mapped(each, names) for each in value] if isinstance(value, list) else _mapped(value, names)
    return _said_by(value, names.words, _DEEPEST) if names.words else value


def record_as_known(record: Record, limits: Limits) -> Record:
    """The same for a record."""
    known = as_known(record, limits)
    return known if is_record(known) else record


def columns_hint(columns: Iterable[str]) -> str:
    """What to write where the columns of a table are not known."""
    retry = "then run 'thorctl reload' and 'thorctl quarantine retry'"
    shown = [name[:60] for name in columns if name][:12]
    one, other = (json.dumps(name, ensure_ascii=False) for name in (*shown, "question", "answer")[:2])
    return (
        f"its columns are {', '.join(shown) or 'without names'}: say what they hold under [data.columns] in "
        f"thord.toml, such as user = [{one}] and assistant = [{other}], {retry}"
    )


def _mapped(value: JsonValue, names: Names) -> JsonValue:
    """A record with its columns by the names that thord knows, where it is of no shape that thord knows without."""
    if not is_record(value):
        return value
    found = {field: value[column] for column in value if (field := names.columns.get(key(column)))}
    if not found:
        return value
    mapped = {**value}
    if "conversation" in found and not rows.conversation_of(value):
        mapped = {"conversation_id": found["conversation"], **mapped}
    if "time" in found and "created_at" not in value:
        mapped["created_at"] = found["time"]
    if registry.is_known(value):
        return mapped
    mapped = {name: each for name, each in mapped.items() if key(name) not in names.columns}
    return mapped | {_NAME_OF[field]: each for field, each in found.items() if field in _NAME_OF}


def _said_by(value: JsonValue, words: Mapping[str, Role], depth: int) -> JsonValue:
    """A value in whose messages the roles stand for the words and people."""
    if isinstance(value, list):
        return [_said_by(each, words, depth - 1) for each in value] if depth else value
    if not is_record(value):
        return value
    is_message = any(what in value for what in _WHAT)
    return {
        name: words.get(key(each), each)
        if is_message and name in _WHO and isinstance(each, str)
        else _said_by(each, words, depth)
        if isinstance(each, list)
        else each
        for name, each in value.items()
    }

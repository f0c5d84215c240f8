"""JSON values of which little is known: looked into without assuming their kinds."""

from typing import TypeGuard

from pydantic import JsonValue

Record = dict[str, JsonValue]


def is_record(value: JsonValue) -> TypeGuard[Record]:
    """Whether it is an object."""
    return isinstance(value, dict)


def child(record: Record, key: str) -> Record:
    """The object under ``key``; an empty one where there is none."""
    value = record.get(key)
    return value if isinstance(value, dict) else {}


def items(value: JsonValue) -> list[JsonValue]:
    """The elements of an array; none where it is something else."""
    return value if isinstance(value, list) else []


def records(value: JsonValue) -> list[Record]:
    """The objects in an array; none where it is something else."""
    return [each for each in items(value) if isinstance(each, dict)]


def string(value: JsonValue) -> str:
    """A string; empty where it is something else."""
    return value if isinstance(value, str) else ""


def texts(parts: JsonValue, kinds: tuple[str, ...] = ("text",)) -> str:
    """The text in a list of typed parts, of those of ``kinds`` alone, a line each; a string is itself."""
    if isinstance(parts, str):
        return parts
    said = (part if isinstance(part, str) else _text(part, kinds) for part in items(parts))
    return "\n".join(text for text in said if text)


def _text(part: JsonValue, kinds: tuple[str, ...]) -> str:
    return string(part.get("text")) if isinstance(part, dict) and part.get("type", kinds[0]) in kinds else ""

"""JSON values of which little is known: looked into without assuming their kinds."""

from typing import TypeGuard

from pydantic import JsonValue

from engine.data.records.limits import FormatError

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


_MEDIA = frozenset(
    (
        "image",
        "image_url",
        "image_file",
        "input_image",
        "audio",
        "input_audio",
        "video",
        "file",
        "input_file",
        "document",
    )
)


def texts(parts: JsonValue) -> str:
    """The text in a list of typed parts, a line each; thoughts and tools at work are left out. A string is itself.

    Raises:
        FormatError: a part is a picture, sound or a file.
    """
    if isinstance(parts, str):
        return parts
    said = (part if isinstance(part, str) else _text(part) for part in items(parts))
    return "\n".join(text for text in said if text)


def _text(part: JsonValue) -> str:
    if not isinstance(part, dict):
        return ""
    kind = part.get("type", "text")
    if isinstance(kind, str) and kind in _MEDIA:
        raise FormatError(f"a part of type {kind!r}: only text can be learned")
    text = part.get("text")
    return string(text.get("value") if isinstance(text, dict) else text) if kind == "text" else ""

"""Exports that are one JSON document, read whole."""

import io
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import BinaryIO

from pydantic import JsonValue

from engine.data.readers import json_values
from engine.data.readers.head import Head
from engine.data.readers.messengers.said import Said
from engine.data.records.limits import FormatError, Limits
from engine.data.records.text import UTF8_MARK
from engine.data.records.values import Record

_BEGINNING = 1 << 16


def beginning(head: Head) -> bytes:
    """The beginning of a JSON document, in which its keys tell what it is; empty where it is none."""
    return head.visible[:_BEGINNING] if head.looks_like_json else b""


def document(stream: BinaryIO, limits: Limits) -> JsonValue:
    """The document.

    Raises:
        FormatError: it is larger than a record may be, or not JSON.
    """
    stream.seek(0)
    raw = stream.read(limits.record_bytes + 1)
    if len(raw) > limits.record_bytes:
        raise FormatError(json_values.too_large(stream.seek(0, io.SEEK_END), limits))
    return json_values.parse(raw.removeprefix(UTF8_MARK), limits)


def number(value: JsonValue) -> float | None:
    """A number, also where it is written as a string."""
    try:
        return float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else None
    except ValueError:
        return None


def seconds(value: JsonValue) -> float | None:
    """A time in ISO 8601 as seconds; without a zone, it is taken for UTC."""
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def names_of(values: Iterable[JsonValue], otherwise: str) -> tuple[str, ...]:
    """The names of somebody, those that are there; ``otherwise`` where none is."""
    named = (str(value).strip() for value in values if isinstance(value, str | int) and not isinstance(value, bool))
    return tuple(dict.fromkeys(name for name in named if name)) or (otherwise,)


def in_order(said: Iterable[Said]) -> list[Said]:
    """By time, where every message has one."""
    found = list(said)
    return sorted(found, key=lambda each: each.time or 0.0) if all(each.time is not None for each in found) else found


def any_of(record: Record, keys: Iterable[str]) -> bool:
    """Whether one of the keys holds something."""
    return any(record.get(each) for each in keys)

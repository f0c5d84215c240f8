"""Values of typed columns as JSON values, within the limits of a record."""

import datetime
import decimal
import math
import re
import uuid
from collections.abc import Mapping

from pydantic import JsonValue

from engine.data.readers import json_values
from engine.data.records.limits import FormatError, Limits
from engine.data.records.values import Record

_HELD_AS_JSON = (
    "messages",
    "message",
    "conversations",
    "conversation",
    "chat",
    "history",
    "tools",
    "chosen",
    "rejected",
)
"""Columns of text in which tables without lists hold JSON."""


_OF_PARTS = ("content", "parts", "value")
"""Columns of text in which tables may hold the parts of a message."""
_PARTS = re.compile(
    r"""\s*(?:\[\s*)?\{\s*"(?:(?:content_type|parts)"\s*:|type"\s*:\s*"(?:text|input_text|output_text|refusal|image\w*"""
    r"""|input_image|tool_\w+|thinking|redacted_thinking|reasoning)")"""
)
"""Other objects with a ``type``, such as an answer that is JSON, are texts."""


class _Size:
    """What a record amounts to so far."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._bytes = self._containers = 0

    def add_text(self, text: str) -> None:
        self._bytes += len(text)
        if self._bytes > self._limits.record_bytes:
            raise FormatError(json_values.too_large(self._bytes, self._limits))

    def add_container(self, depth: int) -> None:
        self._containers += 1
        if depth > self._limits.depth:
            raise FormatError(f"nested deeper than {self._limits.depth} levels")
        if self._containers > self._limits.containers:
            raise FormatError(f"more than {self._limits.containers} objects and arrays in one record")


def record_of(row: Mapping[str, object], limits: Limits) -> Record:
    """A row as a record: null is absent, dates are ISO 8601.

    Raises:
        FormatError: it breaks a limit, or holds bytes.
    """
    size = _Size(limits)
    record: Record = {}
    for column, value in row.items():
        if value is None:
            continue
        try:
            record[column] = _opened(column, _json(value, size, 1), limits)
        except FormatError as error:
            raise FormatError(f"column '{column}': {error}") from None
    return record


def _json(value: object, size: _Size, depth: int) -> JsonValue:
    match value:
        case str():
            size.add_text(value)
            return value
        case None | bool() | int():
            return value
        case float():
            return value if math.isfinite(value) else None
        case Mapping():
            size.add_container(depth)
            pairs = ((key, each) for key, each in value.items() if each is not None)
            return {str(key): _json(each, size, depth + 1) for key, each in pairs}
        case list() | tuple():
            size.add_container(depth)
            return [_json(each, size, depth + 1) for each in value]
        case bytes() | bytearray() | memoryview():
            raise FormatError("bytes, such as an image or sound, are not text")
        case datetime.date() | datetime.time():
            return value.isoformat()
        case datetime.timedelta() | decimal.Decimal() | uuid.UUID():
            return str(value)
        case _:
            raise FormatError(f"a value of type {type(value).__name__} is not known")


def _opened(column: str, value: JsonValue, limits: Limits) -> JsonValue:
    """A value that is JSON written as text, as what it says."""
    if not isinstance(value, str):
        return value
    if column.lower() not in _HELD_AS_JSON or value.lstrip()[:1] not in ("[", "{"):
        return parts_in(column, value, limits)
    return _parsed(value, limits)


def parts_in(column: str, cell: str, limits: Limits) -> JsonValue:
    """A cell with the parts of a message, which is JSON written as text, as what it says; any other as it is."""
    return _parsed(cell, limits) if column.lower() in _OF_PARTS and _PARTS.match(cell) else cell


def _parsed(value: str, limits: Limits) -> JsonValue:
    """What a text of JSON says; one that is no JSON as it is."""
    try:
        return json_values.parse(value.encode("utf-8", "replace"), limits)
    except FormatError:
        return value

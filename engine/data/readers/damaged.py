"""Envelopes whose JSON is damaged or cut off: the elements of their array are whole, but for some."""

import dataclasses
import io
import re

from engine.data.readers.json_values import Value, Values
from engine.data.records import registry, rows
from engine.data.records.collections.containers import LISTS
from engine.data.records.limits import FormatError, Limits

_ARRAY = re.compile(rb'"(?:' + "|".join(LISTS).encode() + rb')"\s*+:\s*+(?=\[\s*+\{)')


def elements_of(value: Value, limits: Limits) -> list[Value]:
    """The elements of the array in a damaged object, where they are conversations; none otherwise."""
    match = _ARRAY.search(value.raw) if value.raw.startswith(b"{") else None
    if match is None:
        return []
    start, line = value.start + match.end(), value.line + value.raw.count(b"\n", 0, match.end()) - 1
    found: list[Value] = []
    for each in Values(io.BytesIO(value.raw[match.end() :]), limits):
        if each.kind == "close":
            break
        if each.kind != "open":
            at, end = start + each.start, start + each.end
            found.append(dataclasses.replace(each, start=at, end=end, line=line + each.line))
    return found if any(_is_conversation(each, limits) for each in found[:2]) else []


def _is_conversation(value: Value, limits: Limits) -> bool:
    try:
        record = value.parse(limits)
    except FormatError:
        return False
    return isinstance(record, dict) and not rows.is_row(record) and registry.is_known(record)

"""JSON that is not one record a line: an object, an array of records or of messages, or several of these in a row."""

from collections.abc import Iterator
from typing import BinaryIO

from engine.data.readers.damaged import elements_of
from engine.data.readers.format import Format
from engine.data.readers.head import Head
from engine.data.readers.items import Item, Refused, Resume, items_of
from engine.data.readers.json_values import Value, Values
from engine.data.readers.row_runs import RowRuns
from engine.data.records import registry, rows
from engine.data.records.limits import FormatError, Limits
from engine.data.records.renaming import as_known

_NAME = "document"
_FROM_START = Resume(_NAME, 0, 1)
"""A document that changed was written anew, so it is read from its start."""


def _fits(head: Head) -> bool:
    return head.looks_like_json


def _read(stream: BinaryIO, limits: Limits, resume: Resume) -> Iterator[Item]:
    """Every record of the document. One that is wrong is refused, the others are read."""
    del resume
    stream.seek(0)
    runs = RowRuns(_NAME, limits)
    in_array = is_empty = False
    for value in Values(stream, limits):
        place = (value.line, value.start, value.end)
        if value.kind == "open":
            yield from runs.finish(_FROM_START)
            in_array = is_empty = True
        elif value.kind == "close":
            if is_empty:
                yield Refused("an empty array: there is nothing to learn", *place, _FROM_START)
            yield from runs.finish(_FROM_START)
            in_array = False
        else:
            is_first = is_empty or not in_array
            is_empty = False
            yield from _record(value, runs, limits, may_begin_run=is_first)
    yield from runs.finish(_FROM_START)


def _record(value: Value, runs: RowRuns, limits: Limits, *, may_begin_run: bool) -> Iterator[Item]:
    place = (value.line, value.start, value.end)
    try:
        parsed = as_known(value.parse(limits), limits)
    except FormatError as error:
        if elements := [] if runs.is_open else elements_of(value, limits):
            for each in elements:
                yield from _record(each, runs, limits, may_begin_run=False)
        else:
            yield from _refused(str(error), runs, place)
        return
    try:
        may_be_in_run = isinstance(parsed, dict) and (
            runs.is_under_way or may_begin_run or rows.conversation_of(parsed)
        )
        if isinstance(parsed, dict) and may_be_in_run and rows.is_row(parsed):
            yield from runs.add(parsed, *place)
            return
        samples = registry.parse(parsed, limits)
    except FormatError as error:
        yield from _refused(str(error), runs, place)
        return
    if runs.is_open:
        runs.fail("a record of another shape among messages", *place)
        return
    yield from items_of(samples, *place, _FROM_START)


def _refused(reason: str, runs: RowRuns, place: tuple[int, int, int]) -> Iterator[Item]:
    """Refuse a record, or the rest of the conversation that is under way."""
    if runs.is_open:
        runs.fail(reason, *place)
    else:
        yield Refused(reason, *place, _FROM_START)


FORMAT = Format(_NAME, _fits, _read, may_grow=False)

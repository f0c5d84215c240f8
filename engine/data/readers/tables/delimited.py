"""Tables with a header (CSV, TSV): each row is a record, of any shape or row that thord knows by its columns.

Names of columns count in lower case. A table of which no row could be read is refused once, with its columns.
"""

import csv
import io
from collections.abc import Iterator
from typing import BinaryIO

from engine.data.readers.format import Format
from engine.data.readers.head import Head
from engine.data.readers.items import Item, Refused, Resume, items_of
from engine.data.readers.json_values import too_large
from engine.data.readers.row_runs import RowRuns
from engine.data.readers.tables.columns import parts_in
from engine.data.readers.tables.heading import delimiter_of, header_of, is_one_column
from engine.data.records import registry, rows
from engine.data.records.limits import FormatError, Limits
from engine.data.records.renaming import record_as_known
from engine.data.records.text import UTF8_MARK, decode
from engine.data.records.values import Record

_NAME = "table"
_FROM_START = Resume(_NAME, 0, 1)


def _fits(head: Head) -> bool:
    delimiter = delimiter_of(head) or ("," if is_one_column(head) else None)
    if delimiter is None:
        return False
    reader = csv.reader(head.text.split("\n"), delimiter=delimiter)
    names = _names(header_of(reader))
    filled = record_as_known(dict.fromkeys(names, "x"), head.limits)
    is_known = registry.is_known({**filled, "role": "user"} if "role" in filled else filled)
    return is_known or _has_rows(names, reader, head.limits)


def _has_rows(names: list[str], reader: Iterator[list[str]], limits: Limits) -> bool:
    """Whether a first row is one of a table of messages: there the speakers tell, not the columns."""
    return any(rows.is_row(_record(names, row, limits)) for _, row in zip(range(16), reader, strict=False))


def _names(header: list[str]) -> list[str]:
    return [name.strip().lower() for name in header]


def _record(names: list[str], row: list[str], limits: Limits) -> Record:
    """A row by its columns; empty cells are absent."""
    cells: Record = {
        name: parts_in(name, cell, limits) for name, cell in zip(names, row, strict=False) if name and cell.strip()
    }
    return record_as_known(cells, limits)


class _Lines:
    """The lines of a stream as text, for `csv`, which asks for as many as a row has; where each row lies is known.

    A row for which it asked at the end of the stream is not whole: a quote in it is open.
    """

    def __init__(self, stream: BinaryIO, limits: Limits) -> None:
        self._stream, self._limits = stream, limits
        self.offset = self.line = 0
        self.is_at_end = False

    def __iter__(self) -> Iterator[str]:
        while raw := self._stream.readline(self._limits.record_bytes + 1):
            start, self.offset = self.offset, self.offset + len(raw)
            self.line += 1
            if len(raw) > self._limits.record_bytes:
                raise FormatError(too_large(len(raw), self._limits))
            yield decode(raw.removeprefix(UTF8_MARK) if start == 0 else raw, start)
        self.is_at_end = True


def _read(stream: BinaryIO, limits: Limits, resume: Resume) -> Iterator[Item]:
    """Every row. One that is wrong is refused with its line; what makes the table unreadable ends it."""
    del resume
    stream.seek(0)
    delimiter = delimiter_of(Head(stream.read(1 << 16), limits)) or ","
    stream.seek(0)
    lines = _Lines(stream, limits)
    csv.field_size_limit(limits.record_bytes)
    reader = csv.reader(iter(lines), delimiter=delimiter)
    runs = RowRuns(_NAME, limits)
    start, line = 0, 1
    is_spaced, was_filled = True, False
    try:
        names = _names(header_of(reader))
        start, line = lines.offset, lines.line + 1
        for row in reader:
            place = (line, start, lines.offset)
            start, line = lines.offset, lines.line + 1
            if lines.is_at_end:
                reason = "a row of the table: the file ends inside a cell whose quote is not closed"
                yield from runs.finish(_FROM_START)
                yield Refused(reason, *place, _FROM_START)
                return
            if _names(row) == names:  # of another table, put behind the first
                continue
            is_filled = any(cell.strip() for cell in row)
            is_spaced = is_spaced and not (is_filled and was_filled)
            was_filled = is_filled
            if is_filled:
                yield from _items(names, row, runs, limits, place)
            elif not is_spaced:  # a blank line, and not one behind every row
                yield from runs.finish_open(_FROM_START)
    except (FormatError, csv.Error) as error:
        yield from runs.finish(_FROM_START)
        yield Refused(
            f"the table cannot be read further: {error}", line, start, stream.seek(0, io.SEEK_END), _FROM_START
        )
        return
    yield from runs.finish(_FROM_START)


def _items(
    names: list[str], row: list[str], runs: RowRuns, limits: Limits, place: tuple[int, int, int]
) -> Iterator[Item]:
    record = _record(names, row, limits)
    if any(cell.strip() for cell in row[len(names) :]):
        reason = f"{len(row)} cells, and the header has {len(names)}: put text that holds the delimiter in quotes"
        if rows.is_row(record):
            runs.fail(reason, *place, rows.conversation_of(record))
        else:
            yield Refused(f"a row of the table: {reason}", *place, _FROM_START)
        return
    try:
        if rows.is_row(record):
            yield from runs.add(record, *place)
            return
        samples = registry.parse(record, limits)
    except FormatError as error:
        yield Refused(f"a row of the table: {error}", *place, _FROM_START)
        return
    yield from items_of(samples, *place, _FROM_START)


FORMAT = Format(_NAME, _fits, _read, may_grow=False)

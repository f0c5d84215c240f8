"""Rows of a binary table as items, as those of CSV and JSON Lines: records of a known shape, or rows of messages."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from engine.data.readers.items import Found, Item, Refused, Resume
from engine.data.readers.row_runs import RowRuns
from engine.data.records import registry, rows
from engine.data.records.exports.values import Record
from engine.data.records.limits import FormatError, Limits
from engine.data.samples import Sample

_FIRST = 16
"""Rows by which a table is recognised."""


@dataclass(frozen=True, slots=True)
class TableRow:
    """A row, counted from 1; ``problem`` says why it could not be read."""

    number: int
    record: Record
    problem: str = ""


def is_known(record: Record) -> bool:
    """Whether thord knows the shape of such a record."""
    return rows.is_row(record) or any(shape.fits(record) for shape in registry.SHAPES)


def items_of(table: Iterator[TableRow], what: str, name: str, size: int, limits: Limits) -> Iterator[Item]:
    """Every row of a file of ``size`` bytes and format ``name``.

    A table of which none of the first rows is known is refused once, as ``what``, with its columns.
    """
    resume = Resume(name, 0, 1)
    first = list(itertools.islice(table, _FIRST))
    whole = [row for row in first if not row.problem]
    if whole and not any(is_known(row.record) for row in whole):
        columns = ", ".join(sorted({column for row in whole for column in row.record}))[:200]
        reason = f"{what} of which no conversation can be made; its columns are {columns or 'empty'}"
        yield Refused(f"{reason}; known shapes are {registry.KNOWN}", 0, 0, size, resume)
        return
    runs = RowRuns(name, limits)
    for row in itertools.chain(first, table):
        place = (row.number, 0, size)
        try:
            if not row.problem and rows.is_row(row.record):
                yield from runs.add(row.record, *place)
                continue
            samples = _parsed(row, limits)
        except FormatError as error:
            if runs.is_open:
                runs.fail(str(error), *place)
            else:
                yield Refused(f"a row of the table: {error}", *place, resume)
            continue
        for sample in samples:
            yield Found(sample, *place, resume)
    yield from runs.finish(resume)


def _parsed(row: TableRow, limits: Limits) -> Sequence[Sample]:
    if row.problem:
        raise FormatError(row.problem)
    return registry.parse(row.record, limits)

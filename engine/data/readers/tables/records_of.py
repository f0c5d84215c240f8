"""Rows of a binary table as items, as those of CSV and JSON Lines: records of a known shape, or rows of messages."""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from engine.data.readers.items import Item, Refused, Resume, items_of, of_whole
from engine.data.readers.row_runs import RowRuns
from engine.data.records import registry, rows
from engine.data.records.limits import FormatError, Limits
from engine.data.records.renaming import columns_hint, record_as_known
from engine.data.records.shape import Parsed
from engine.data.records.values import Record

_FIRST = 16
"""Rows by which a table is recognised."""
_LONGEST_ID = 200


@dataclass(frozen=True, slots=True)
class TableRow:
    """A row, counted from 1; ``problem`` says why it could not be read, and ``record`` is then what names it."""

    number: int
    record: Record
    problem: str = ""


def unread(number: int, row: Mapping[str, object], problem: object) -> TableRow:
    """A row that could not be read; short values of it tell of which conversation it is."""
    ids: Record = {
        name: value for name, value in row.items() if isinstance(value, int | str) and len(str(value)) <= _LONGEST_ID
    }
    return TableRow(number, ids, str(problem))


def table_items(table: Iterator[TableRow], what: str, name: str, size: int, limits: Limits) -> Iterator[Item]:
    """Every row of a file of ``size`` bytes and format ``name``; each has the place of the whole file.

    A table of which none of the first rows is known is refused once, as ``what``, with its columns.
    """
    resume = Resume(name, 0, 1)
    table = (dataclasses.replace(row, record=record_as_known(row.record, limits)) for row in table)
    first = list(itertools.islice(table, _FIRST))
    whole = [row.record for row in first if not row.problem]
    if whole and not any(map(registry.is_known, whole)):
        columns = dict.fromkeys(column for record in whole for column in record)
        reason = f"{what} of which no conversation can be made; {columns_hint(columns)}"
        yield Refused(reason, 0, 0, size, resume)
        return
    for item in _items(itertools.chain(first, table), RowRuns(name, limits), limits):
        yield of_whole(item, size, resume)


def _items(table: Iterator[TableRow], runs: RowRuns, limits: Limits) -> Iterator[Item]:
    """The same, each row at the place that it would have in a file of text."""
    start = 0
    of_messages = False
    for row in table:
        end = start + len(repr(row.record))
        place = (row.number, start, end)
        start = end
        try:
            if not row.problem and rows.is_row(row.record):
                of_messages = True
                yield from runs.add(row.record, *place)
                continue
            samples = _parsed(row, limits)
        except FormatError as error:
            if of_messages and (conversation := rows.conversation_of(row.record)):
                runs.fail(str(error), *place, conversation)
            elif runs.is_open:
                runs.fail(str(error), *place)
            else:
                yield Refused(f"a row of the table: {error}", *place, Resume("", 0, 1))
            continue
        yield from items_of(samples, *place, Resume("", 0, 1))
    yield from runs.finish(None)


def _parsed(row: TableRow, limits: Limits) -> Sequence[Parsed]:
    if row.problem:
        raise FormatError(row.problem)
    return registry.parse(row.record, limits)

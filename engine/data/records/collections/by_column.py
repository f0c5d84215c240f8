"""Records by their columns, as pandas and `datasets` write them: ``{"question": [...], "answer": [...]}``.

| form                                                   | from                                       |
|--------------------------------------------------------|--------------------------------------------|
| {question: [...], answer: [...]}                       | ``to_dict("list")``, batches of `datasets` |
| {question: {"0": ...}, answer: {"0": ...}}             | ``to_json()``                              |
| {columns: [...], data: [[...], ...]}                   | ``to_json(orient="split")``                |
| {"0": {question, answer}, "1": ...}                    | ``to_json(orient="index")``                |

Columns hold texts, numbers, and lists of messages. They are read where a row of them is a record that thord knows.
"""

from collections.abc import Callable, Sequence
from functools import partial

from pydantic import JsonValue

from engine.data.records.limits import Limits
from engine.data.records.shape import Parsed, RecordShape
from engine.data.records.values import Record, is_record, items

Parse = Callable[[JsonValue, Limits], Sequence[Parsed]]
IsKnown = Callable[[Record], bool]
_OF_MESSAGES = ("messages", "conversations", "conversation")


def shape(parse: Parse, is_known: IsKnown) -> RecordShape:
    """The shape, of which the rows go to ``parse`` together where ``is_known`` says that the first is a record."""
    return RecordShape("{column: [values]}", partial(_fits, is_known), partial(_parse, parse))


def _fits(is_known: IsKnown, record: Record) -> bool:
    first = next(iter(record.values()), None)
    if not isinstance(first, list | dict) or not first:
        return False
    rows = _rows(record)
    return bool(rows) and is_known(rows[0])


def _parse(parse: Parse, record: Record, limits: Limits) -> Sequence[Parsed]:
    return parse([*_rows(record)], limits)


def _rows(record: Record) -> list[Record]:
    """The rows; none where these are no columns."""
    if all(map(is_record, record.values())):
        if all(key.isdecimal() for key in record):  # by the number of the row
            return [{**row} for row in record.values() if is_record(row)]
        names = [[*column] for column in record.values() if is_record(column)]
        if any(each != names[0] or not all(name.isdecimal() for name in each) for each in names):
            return []
        return _of_columns({key: [*column.values()] for key, column in record.items() if is_record(column)})
    columns, data = items(record.get("columns")), items(record.get("data"))
    if columns and data and all(isinstance(row, list) and len(row) == len(columns) for row in data):
        return [dict(zip(map(str, columns), items(row), strict=True)) for row in data]
    return _of_columns({key: value for key, value in record.items() if isinstance(value, list)}, len(record))


def _of_columns(columns: dict[str, list[JsonValue]], width: int = 0) -> list[Record]:
    length = len(next(iter(columns.values()), []))
    if len(columns) < max(width, 1) or any(len(column) != length for column in columns.values()):
        return []
    if not all(_is_column(key, column) for key, column in columns.items()):
        return []
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _is_column(key: str, column: Sequence[JsonValue]) -> bool:
    if key in _OF_MESSAGES:
        return len(column) > 1 and all(isinstance(cell, list) and bool(cell) for cell in column)
    return all(cell is None or isinstance(cell, str | int | float) for cell in column)

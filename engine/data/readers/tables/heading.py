"""The heading of a text that may be a table (CSV, TSV): what separates its columns, and their names."""

import csv
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence

from engine.data.readers.head import Head
from engine.data.records.registry import is_known
from engine.data.records.values import Record

_DELIMITERS = (",", ";", "\t", "|")
_OF_HEADLESS = (("\t", 2), (",", 3), (";", 3), ("|", 2))
"""Delimiters of tables without a header, and the fewest rows that tell one."""
_HEADER = re.compile(r"\"?[A-Za-z_]\w*\"?(?:([,;\t|])\"?[A-Za-z_]\w*\"?)(?:\1\"?[A-Za-z_]\w*\"?)+$")
_QUOTED_CELLS = re.compile(r'"(?:[^"]|"")*+"[,;\t|] ?"')
_QUOTED_CELL = re.compile(r'"(?:[^"]|"")')
_ONE_COLUMN = ("text", "messages", "conversations", "conversation", "dialogue", "dialog", "chat", "transcript")
_ALIGNED = re.compile(r" {2,}")
_LINES = 64
_ROWS = 16


def header_of(rows: Iterator[list[str]]) -> list[str]:
    """The first row that is not blank, after a line that tells Excel the delimiter; empty where there is none."""
    filled = (row for row in rows if any(cell.strip() for cell in row))
    header = next(filled, [])
    return next(filled, []) if header and header[0].startswith("sep=") else header


def delimiter_of(head: Head) -> str | None:
    """What separates the columns of a table with a header; none where this is not a table.

    Most of the first rows have as many cells as the header, and every name in it is short and does not end like a
    sentence.
    """
    lines = head.text.split("\n")[:_LINES]
    return next((delimiter for delimiter in _DELIMITERS if _is_table_of(_rows(lines, delimiter))), None)


def is_one_column(head: Head) -> bool:
    """Whether this is a table whose only column holds texts or conversations, in quotes, as `datasets` writes it."""
    header, *cells = head.lines_as_text[:2] or [""]
    return bool(cells) and header.strip('"').lower() in _ONE_COLUMN and _QUOTED_CELL.match(cells[0]) is not None


def columns_of(head: Head) -> list[str]:
    """The names of a table's columns; empty where its first row breaks the rules of CSV."""
    return _header(head.text.split("\n"), delimiter_of(head) or ",")


def is_table(head: Head) -> bool:
    """Whether this is a table with a header, also one whose rows were cut off."""
    lines = head.lines_as_text
    if delimiter_of(head) is not None or (len(lines) > 1 and _HEADER.match(lines[0])):
        return True
    if len(lines) > 2 and _is_of_records(_ALIGNED.split(lines[0])):
        return True
    return len(lines) <= 2 and any(_is_of_records(_header(lines[:1], delimiter)) for delimiter in _DELIMITERS)


def is_headless_table(head: Head) -> bool:
    """Whether these are rows of equally many cells without a header: quoted, or with no blank after the delimiter."""
    lines = [line for line in head.text.split("\n") if line.strip()][:_ROWS]
    if len(lines) >= 2 and sum(_QUOTED_CELLS.match(line) is not None for line in lines) >= 0.7 * len(lines):
        return True
    return any(_are_even(_rows(lines, delimiter), fewest) for delimiter, fewest in _OF_HEADLESS)


def _rows(lines: Iterable[str], delimiter: str) -> list[list[str]]:
    """The first rows that are not blank, header first; empty where they break the rules of CSV."""
    rows = csv.reader(lines, delimiter=delimiter)
    try:
        filled = (row for row in itertools.chain([header_of(rows)], rows) if row)
        return list(itertools.islice(filled, _ROWS))
    except csv.Error:
        return []


def _header(lines: Iterable[str], delimiter: str) -> list[str]:
    try:
        return header_of(csv.reader(lines, delimiter=delimiter))
    except csv.Error:
        return []


def _is_table_of(rows: Sequence[Sequence[str]]) -> bool:
    header = rows[0] if rows else []
    named = header[1:] if header and not header[0] else header  # pandas leaves the column of its index without name
    if len(rows) < 2 or len(header) < 2 or not all(map(_is_column, named)):
        return False
    if len(header) == 2 and any(name != name.strip() for name in header):
        return False  # a comma in a sentence has a blank behind it
    is_plain = all(name == "" or name.replace("_", "").isalnum() for name in header)
    even = sum(len(row) == len(header) for row in rows)
    return even / len(rows) >= (0.6 if is_plain else 0.9)


def _is_column(name: str) -> bool:
    name = name.strip()
    return 0 < len(name) <= 40 and len(name.split()) <= 4 and name[-1] not in ".!?:"


def _is_of_records(header: Sequence[str]) -> bool:
    """Whether these are the columns of a record that thord knows."""
    names = [name.strip().lower() for name in header]
    record: Record = dict.fromkeys(names, "x")
    return len(names) > 1 and all(name.isidentifier() for name in names) and is_known(record)


def _are_even(rows: Sequence[Sequence[str]], fewest: int) -> bool:
    width = len(rows[0]) if rows else 0
    if width < 2 or len(rows) < min(fewest, max(2, 6 - width)) or any(len(row) != width for row in rows):
        return False
    return all(any(row) and not any(cell[:1].isspace() for cell in row) and sum(map(bool, row)) > 1 for row in rows)

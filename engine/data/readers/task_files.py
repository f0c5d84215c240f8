"""Files of a task: those in a folder of its name below one named ``tasks``, whatever their format.

| content                                   | rows                                                      |
| ----------------------------------------- | --------------------------------------------------------- |
| begins as JSON                            | each object of the document, or on each line              |
| any, and the task has a ``pattern``       | each line that the pattern matches                        |
| tags behind words, a kind that has spans  | each sentence of CoNLL, which ends with a blank line      |
| anything else                             | each row of a table (CSV, TSV), with or without a header  |

A file is read from its beginning whenever it has changed; what was read before is known.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

from pydantic import JsonValue

from engine.data.readers import head
from engine.data.readers.head import Head
from engine.data.readers.items import Item, Refused, Resume, items_of
from engine.data.readers.json_values import Values
from engine.data.readers.lines import Line, lines_of
from engine.data.records.datasets import task_rows
from engine.data.records.limits import FormatError, Limits
from engine.data.records.text import check_is_text
from engine.data.tasks.task import COLUMNS, Task

FOLDER = "tasks"
_FROM_START = Resume("task", 0, 1)
_CONLL_LINE = re.compile(r"\S+(?:[ \t]\S+)*[ \t](?:O|[BIESLU]-\S+)$")
_CONLL_SHARE = 0.8
_DELIMITERS = "\t,;"
_LINES_LOOKED_AT = 20


def task_of(path: Path, limits: Limits) -> Task | None:
    """The task whose folder a file lies in; null where it lies in none."""
    parts = path.parent.parts
    named = (name for above, name in pairwise(parts) if above == FOLDER)
    return next((limits.tasks[name] for name in named if name in limits.tasks), None)


def read(stream: BinaryIO, limits: Limits, task: Task) -> Iterator[Item]:
    """Every row of a file of a task. One that is not of the task is refused, the others are read."""
    raw = head.read(stream)
    first = Head(raw, limits)
    try:
        check_is_text(raw)
    except FormatError as error:
        yield Refused(str(error), 0, 0, stream.seek(0, 2), _FROM_START)
        return
    if not first.visible:
        return
    if first.looks_like_json:
        yield from _documents(stream, limits, task)
    elif task.pattern:
        yield from _matched(stream, limits, task)
    elif task.kind == "tag" and head.share(first.lines_as_text, _CONLL_LINE.match) >= _CONLL_SHARE:
        yield from _sentences(stream, limits, task)
    else:
        yield from _table(stream, limits, task, first)


def _documents(stream: BinaryIO, limits: Limits, task: Task) -> Iterator[Item]:
    stream.seek(0)
    for value in Values(stream, limits):
        place = (value.line, value.start, value.end)
        if value.kind in ("open", "close"):
            continue
        try:
            parsed = value.parse(limits)
        except FormatError as error:
            yield Refused(str(error), *place, _FROM_START)
            continue
        yield from items_of(task_rows.samples_of(parsed, task), *place, _FROM_START)


def _matched(stream: BinaryIO, limits: Limits, task: Task) -> Iterator[Item]:
    pattern = re.compile(task.pattern)
    for line, text in _texts(stream, limits):
        found = None if text is None else pattern.fullmatch(text)
        if found is None:
            reason = f"the line does not match tasks.{task.name}.pattern"
            yield Refused(reason, line.number, line.start, line.end, _FROM_START)
        else:
            yield from _row({name: each for name, each in found.groupdict().items() if each}, task, line, line.end)


def _sentences(stream: BinaryIO, limits: Limits, task: Task) -> Iterator[Item]:
    words: list[JsonValue] = []
    tags: list[JsonValue] = []
    first, last = None, None
    for line, text in _texts(stream, limits):
        if last is not None and first is not None and line.number != last.number + 1:
            yield from _row({"tokens": words, "tags": tags}, task, first, last.end)
            words, tags, first = [], [], None
        last = line
        if text is None:
            yield Refused("the line is longer than a record may be", line.number, line.start, line.end, _FROM_START)
        elif not text.startswith("-DOCSTART-"):
            first = first or line
            word, *_, tag = re.split(r"[ \t]+", text.strip())
            words.append(word)
            tags.append(tag)
    if first is not None and last is not None:
        yield from _row({"tokens": words, "tags": tags}, task, first, last.end)


def _table(stream: BinaryIO, limits: Limits, task: Task, first: Head) -> Iterator[Item]:
    """Rows of cells. Without a header the columns are numbers, which the task must name."""
    lines = _Cells(stream, limits)
    try:
        rows = _split(lines, _delimiter(first.lines_as_text))
        yield from _rows_of(rows, lines, task)
    except (csv.Error, FormatError) as error:
        yield Refused(
            f"the table ends here: {error}", lines.place.number, lines.place.start, lines.place.end, _FROM_START
        )


def _delimiter(lines: Sequence[str]) -> str:
    """What divides the most lines into as many cells as the first; a tab or a comma where several do."""

    def alike(delimiter: str) -> int:
        counts = [len(cells) for cells in _split(lines[:_LINES_LOOKED_AT], delimiter)]
        return sum(count == counts[0] for count in counts) if counts and counts[0] > 1 else 0

    return max(_DELIMITERS, key=alike)


def _split(lines: Iterable[str], delimiter: str) -> Iterator[list[str]]:
    if delimiter == "\t":  # there a quotation mark is one
        return csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE)
    return csv.reader(lines, delimiter=delimiter)


def _rows_of(rows: Iterator[list[str]], lines: "_Cells", task: Task) -> Iterator[Item]:
    names: list[str] | None = None
    for cells in rows:
        if not any(cell.strip() for cell in cells):
            continue
        if names is None:
            header = [cell.strip() for cell in cells]
            names = header if _is_header(header, task) else [str(number) for number in range(1, len(cells) + 1)]
            if names is header:
                continue
        if any(cell.strip() for cell in cells[len(names) :]):  # a delimiter in a cell has shifted the others
            reason = (
                f"the row has {len(cells)} cells, the first one has {len(names)}: put cells with a delimiter in quotes"
            )
            yield Refused(reason, lines.place.number, lines.place.start, lines.place.end, _FROM_START)
            continue
        row: dict[str, JsonValue] = {name: cell for name, cell in zip(names, cells, strict=False) if cell.strip()}
        lacks = "" if len(cells) >= len(names) else f"the row ends before {', '.join(names[len(cells) :])}: "
        for item in _row(row, task, lines.place, lines.place.end):
            yield replace(item, reason=lacks + item.reason) if isinstance(item, Refused) else item


def _is_header(cells: list[str], task: Task) -> bool:
    if any(name.isdecimal() for name in task.columns.values()):
        return False
    wanted = {*task.columns.values(), *(name for names in COLUMNS.values() for name in names)}
    return not wanted.isdisjoint(cells)


def _row(row: dict[str, JsonValue], task: Task, line: Line, end: int) -> Iterator[Item]:
    yield from items_of(task_rows.samples_of(row, task), line.number, line.start, end, _FROM_START)


def _texts(stream: BinaryIO, limits: Limits) -> Iterator[tuple[Line, str | None]]:
    """Lines that are not blank; null for one that is longer than a record may be."""
    for line in lines_of(stream, limits, 0, 1):
        yield line, decoded(line.raw) if line.raw else None


class _Cells:
    """The lines of a table, for `csv`, which asks for as many as a row has; ``place`` is the last one."""

    def __init__(self, stream: BinaryIO, limits: Limits) -> None:
        self._stream, self._limits = stream, limits
        self.place = Line(b"", 0, 0, 0, True)

    def __iter__(self) -> Iterator[str]:
        for line in lines_of(self._stream, self._limits, 0, 1):
            self.place = line
            yield decoded(line.content(self._limits)) + "\n"


def decoded(raw: bytes) -> str:
    """A line as text; one that is not UTF-8 is taken as Latin-1, of which old sets have some."""
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    try:
        return raw.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        return raw.decode("latin-1").rstrip("\r\n")

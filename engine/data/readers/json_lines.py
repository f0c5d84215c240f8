"""JSON Lines of any shape: a record a line.

A line that is wrong is refused with its number, the others are read. A last line without a line end may be half
written: it is read, and read again when the file has grown.
"""

import re
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from engine.data.readers import json_values
from engine.data.readers.format import Format
from engine.data.readers.head import Head
from engine.data.readers.items import Item, Refused, Resume, items_of
from engine.data.readers.lines import bare, lines_of
from engine.data.readers.plain_runs import Piece, PlainLine, together
from engine.data.readers.row_runs import RowRuns
from engine.data.records import plain_messages, registry, rows
from engine.data.records.limits import FormatError, Limits
from engine.data.records.renaming import as_known
from engine.data.records.shape import Parsed

_NAME = "lines"
_GOES_ON = re.compile(rb"[\[{,:]\s*\Z")
_CONTINUES = re.compile(rb"\s*[,:\]}]")


def _fits(head: Head) -> bool:
    """Whole records a line; also JSON lines of which the first is damaged."""
    if head.looks_like_json:
        return _is_json_lines(head.lines, head.limits)
    return sum(_is_record(line, head.limits) for line in head.lines[1:]) > len(head.lines) // 2


def _is_json_lines(lines: Sequence[bytes], limits: Limits) -> bool:
    """A line is a whole record, or is damaged in a way that no document could be."""
    first, *others = lines
    if _is_record(bare(first), limits) and (first.startswith(b"{") or bare(first) == first):
        return bool(others) or not first.startswith(b"[")  # one long array is better read element by element
    may_be_document = _GOES_ON.search(first) or (others and _CONTINUES.match(others[0]))
    return not may_be_document and any(_is_record(line, limits) for line in others)


def _is_record(line: bytes, limits: Limits) -> bool:
    try:
        return isinstance(json_values.parse(bare(line), limits), dict | list)
    except FormatError:
        return False


def _read(stream: BinaryIO, limits: Limits, resume: Resume) -> Iterator[Piece]:
    """JSON Lines, plain dialogues in runs."""
    return together(_lines(stream, limits, resume))


def _lines(stream: BinaryIO, limits: Limits, resume: Resume) -> Iterator[Item | PlainLine]:
    """What is in each line. Lines that are rows of a table of messages become conversations together.

    Where a blank line stands behind every line, it parts nothing.
    """
    runs, expected = RowRuns(_NAME, limits), 0
    is_spaced = True
    for line in lines_of(stream, limits, resume.offset, resume.line):
        plain = plain_messages.parse_line(line.raw, limits)
        if plain and not runs.is_under_way:
            yield PlainLine(plain, line, _NAME)
            continue
        place = (line.number, line.start, line.end)
        if line.number == expected:
            is_spaced = False
        elif runs.is_open and not is_spaced:  # a blank line
            yield from runs.finish_open(Resume(_NAME, line.start, line.number))
        expected = line.number + 1
        try:
            if plain:
                samples: Sequence[Parsed] = [plain.dialogue]
            else:
                value = as_known(json_values.parse(line.content(limits), limits, line.start), limits)
                if isinstance(value, dict) and rows.is_row(value):
                    yield from runs.add(value, *place)
                    continue
                samples = registry.parse(value, limits)
        except FormatError as error:
            if runs.is_open:
                runs.fail(str(error), *place)
            else:
                yield Refused(str(error), *place, runs.resume(line.resume(_NAME)))
            continue
        if runs.is_open:
            yield from runs.finish_open(Resume(_NAME, line.start, line.number))
        yield from items_of(samples, *place, runs.resume(line.resume(_NAME)))
    yield from runs.finish(None)


FORMAT = Format(_NAME, _fits, _read, may_grow=True)

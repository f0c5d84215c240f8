"""SQLite databases that hold conversations.

| tables                                         | is                                                              |
|------------------------------------------------|-----------------------------------------------------------------|
| responses {prompt, response, conversation_id}  | the log of `llm` (logs.db)                                      |
| chat {chat}, with a conversation as JSON       | Open WebUI's webui.db                                           |
| one table of messages or of dialogues          | any other program's; of several it is not known which one counts|

Any other database is refused with the names of its tables. Text alone is not taken from a database.
"""

import io
import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

from engine.data.readers.format import Format
from engine.data.readers.head import Head
from engine.data.readers.items import Item, Refused, Resume
from engine.data.readers.tables.columns import record_of
from engine.data.readers.tables.llm_log import is_llm_log, llm_rows
from engine.data.readers.tables.records_of import TableRow, table_items, unread
from engine.data.readers.tables.sqlite_file import missing_changes, opened, rows_of, tables_of
from engine.data.readers.tables.web_ui import is_web_ui, web_ui_rows
from engine.data.records import registry, rows
from engine.data.records.limits import FormatError, Limits
from engine.data.records.renaming import record_as_known
from engine.data.records.values import Record
from engine.data.samples import Labelled, Text

if TYPE_CHECKING:
    import sqlite3

_NAME = "SQLite"
_FROM_START = Resume(_NAME, 0, 1)
_FIRST = 16
_MAGIC = b"SQLite format 3\x00"


def _is_database(head: Head) -> bool:
    return head.raw.startswith(_MAGIC)


def _read(stream: BinaryIO, limits: Limits, resume: Resume) -> Iterator[Item]:
    """Every conversation. Where the database is damaged, what comes after is refused."""
    import sqlite3

    del resume
    size = stream.seek(0, io.SEEK_END)
    yield from missing_changes(stream, _FROM_START)
    try:
        with opened(stream) as database:
            yield from _items(database, size, limits)
    except (sqlite3.Error, UnicodeError) as error:
        yield Refused(f"the SQLite database cannot be read further: {error}", 0, 0, size, _FROM_START)


def _items(database: "sqlite3.Connection", size: int, limits: Limits) -> Iterator[Item]:
    if is_llm_log(database):
        found, what = llm_rows(database, limits), "a log of llm"
    elif is_web_ui(database):
        found, what = web_ui_rows(database, limits), "a database of Open WebUI"
    else:
        tables = tables_of(database)
        fitting = [table for table in tables if _is_of_conversations(database, table, limits)]
        if len(fitting) != 1:
            named = ", ".join(tables)[:200] or "none"
            problem = (
                f"in several tables ({', '.join(fitting)[:200]}): keep one" if fitting else "in none that is known"
            )
            reason = f"an SQLite database with conversations {problem}; its tables are {named}"
            yield Refused(reason, 0, 0, size, _FROM_START)
            return
        found, what = _table_rows(database, fitting[0], limits), f"table {fitting[0]} of an SQLite database"
    yield from table_items(found, what, _NAME, size, limits)


def _table_rows(database: "sqlite3.Connection", table: str, limits: Limits) -> Iterator[TableRow]:
    for number, row in enumerate(rows_of(database, table), 1):
        try:
            yield TableRow(number, record_as_known(record_of(row, limits), limits))
        except FormatError as error:
            yield unread(number, row, error)


def _is_of_conversations(database: "sqlite3.Connection", table: str, limits: Limits) -> bool:
    """Whether one of its first rows is a message of a known speaker, or a dialogue."""
    first = itertools.islice(_table_rows(database, table, limits), _FIRST)
    return any(_is_said(row.record, limits) for row in first if not row.problem)


def _is_said(record: Record, limits: Limits) -> bool:
    try:
        if rows.is_row(record):
            return bool(rows.row_of(record, 1).turns)
        return not any(isinstance(sample, Text | Labelled | FormatError) for sample in registry.parse(record, limits))
    except FormatError:
        return False


FORMAT = Format(_NAME, _is_database, _read, may_grow=False, seeks=True)

"""Open WebUI's webui.db: a conversation a row of table ``chat``, as JSON in the column of that name.

Source: `open-webui/backend/open_webui/models/chats.py`.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from engine.data.readers import json_values
from engine.data.readers.tables.records_of import TableRow, unread
from engine.data.readers.tables.sqlite_file import columns_of, rows_of, tables_of
from engine.data.records.limits import FormatError, Limits
from engine.data.records.values import Record, is_record

if TYPE_CHECKING:
    import sqlite3

_TABLE = "chat"


def is_web_ui(database: "sqlite3.Connection") -> bool:
    """Whether it has that table, with JSON in it.

    Raises:
        sqlite3.Error: it is damaged.
    """
    return _TABLE in tables_of(database) and {"id", "title", "chat"} <= columns_of(database, _TABLE)


def web_ui_rows(database: "sqlite3.Connection", limits: Limits) -> Iterator[TableRow]:
    """The chats.

    Raises:
        sqlite3.Error: it is damaged from here on.
    """
    for number, row in enumerate(rows_of(database, _TABLE), 1):
        try:
            yield TableRow(number, _chat(row.get("chat"), limits))
        except FormatError as error:
            yield unread(number, row, error)


def _chat(held: object, limits: Limits) -> Record:
    """The conversation.

    Raises:
        FormatError: it is not JSON.
    """
    if not isinstance(held, str):
        raise FormatError("column 'chat' does not hold JSON")
    chat = json_values.parse(held.encode("utf-8", "replace"), limits)
    if not is_record(chat):
        raise FormatError("column 'chat' does not hold a JSON object")
    return chat

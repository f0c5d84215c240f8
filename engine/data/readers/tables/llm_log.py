"""The log of `llm` (logs.db): an exchange a row of table ``responses``.

Source: https://llm.datasette.io/en/stable/logging.html. Fragments are put before the prompt, as llm does it.
Conversations with attachments or tool calls lie in further tables: they are refused whole.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from engine.data.readers.tables.columns import record_of
from engine.data.readers.tables.records_of import TableRow, unread
from engine.data.readers.tables.sqlite_file import columns_of, rows_of, tables_of
from engine.data.records.limits import FormatError, Limits

if TYPE_CHECKING:
    import sqlite3

_TABLE = "responses"
_COLUMNS = ("id", "prompt", "system", "response", "conversation_id", "datetime_utc")
_NOT_READ = (
    ("prompt_attachments", "attachments (images, sound or files)"),
    ("tool_calls", "tool calls"),
    ("tool_results", "results of tools"),
)
_FRAGMENTS = (("prompt", "prompt_fragments"), ("system", "system_fragments"))


def is_llm_log(database: "sqlite3.Connection") -> bool:
    """Whether it has that table.

    Raises:
        sqlite3.Error: it is damaged.
    """
    return _TABLE in tables_of(database) and {"prompt", "response"} <= columns_of(database, _TABLE)


def llm_rows(database: "sqlite3.Connection", limits: Limits) -> Iterator[TableRow]:
    """The exchanges, in the order in which they were logged.

    Raises:
        sqlite3.Error: it is damaged from here on.
    """
    tables = set(tables_of(database))
    refused = {id_: what for table, what in _NOT_READ if table in tables for id_ in _conversations(database, table)}
    joined = [(column, table) for column, table in _FRAGMENTS if {table, "fragments"} <= tables]
    for number, row in enumerate(rows_of(database, _TABLE), 1):
        conversation = row.get("conversation_id")
        if isinstance(conversation, str) and conversation in refused:
            yield unread(number, row, f"conversation {conversation} of llm has {refused[conversation]}")
            continue
        for column, table in joined:
            before = _fragments(database, table, row.get("id"))
            own = row.get(column)
            if before:
                row[column] = "\n".join([*before, *([own] if isinstance(own, str) else [])])
        try:
            yield TableRow(number, record_of({name: row.get(name) for name in _COLUMNS}, limits))
        except FormatError as error:
            yield unread(number, row, error)


def _conversations(database: "sqlite3.Connection", table: str) -> list[str]:
    """Conversations of which a response has a row in ``table``."""
    if "response_id" not in columns_of(database, table):
        return []
    found = database.execute(
        f"SELECT DISTINCT conversation_id FROM {_TABLE}"  # noqa: S608 - names of our own
        f" WHERE id IN (SELECT response_id FROM {table})"
    )
    return [name for (name,) in found if isinstance(name, str)]


def _fragments(database: "sqlite3.Connection", table: str, response: object) -> list[str]:
    if not isinstance(response, str):
        return []
    found = database.execute(
        f"SELECT content FROM fragments JOIN {table} ON fragments.id = fragment_id"  # noqa: S608 - names of our own
        ' WHERE response_id = ? ORDER BY "order"',
        (response,),
    )
    return [content for (content,) in found if isinstance(content, str)]

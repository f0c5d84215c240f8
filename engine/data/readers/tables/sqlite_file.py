"""An SQLite database of a stranger, opened without writing, locking or following what its schema may call.

A large file is opened by the path of its descriptor, immutable, so that no journal is looked for. What is small, or
not a file (unpacked from an archive), is opened in memory.
"""

import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from engine.data.readers.items import Refused, Resume

if TYPE_CHECKING:
    import sqlite3

_IN_MEMORY = 64 << 20
"""Larger files are read from disk."""
_CELL_BYTES = 64 << 20
"""A larger cell ends the reading of its table."""
_CACHE_KILOBYTES = 8192
_FORMAT_VERSIONS = slice(18, 20)
"""Bytes of the header that say whether there is a write-ahead log; in memory there can be none."""


@contextlib.contextmanager
def opened(stream: BinaryIO) -> Iterator["sqlite3.Connection"]:
    """The database in a stream.

    Raises:
        sqlite3.Error: it is damaged.
        OSError: the disk failed.
    """
    import sqlite3

    size = stream.seek(0, io.SEEK_END)
    path = _path_of(stream)
    if size <= _IN_MEMORY or path is None:
        database = _in_memory(stream)
    else:
        database = sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)
    with contextlib.closing(database):
        database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _CELL_BYTES)
        for pragma in (
            "query_only = ON",
            "trusted_schema = OFF",
            "cell_size_check = ON",
            "mmap_size = 0",
            "temp_store = MEMORY",
            f"cache_size = -{_CACHE_KILOBYTES}",
        ):
            database.execute(f"PRAGMA {pragma}")
        yield database


def _in_memory(stream: BinaryIO) -> "sqlite3.Connection":
    import sqlite3

    stream.seek(0)
    raw = bytearray(stream.read())
    if raw[_FORMAT_VERSIONS] == b"\2\2":
        raw[_FORMAT_VERSIONS] = b"\1\1"
    database = sqlite3.connect(":memory:")
    try:
        database.deserialize(bytes(raw))
    except BaseException:
        database.close()
        raise
    return database


def _path_of(stream: BinaryIO) -> Path | None:
    """Where the file lies; none where the stream is none, or the file has another name by now."""
    try:
        descriptor = stream.fileno()
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))  # noqa: PTH115 - as it is, not resolved
        return path if os.path.samestat(path.stat(), os.fstat(descriptor)) else None
    except (OSError, ValueError):
        return None


def missing_changes(stream: BinaryIO, resume: Resume) -> Iterator[Refused]:
    """A refusal of the changes that lie beside it in a write-ahead log, if there are any."""
    if _has_log(stream):
        reason = (
            "the database is read as it was at its last checkpoint: newer changes are only in the file that ends in "
            "-wal; quit the program that writes it"
        )
        yield Refused(reason, 0, 0, 0, resume)


def _has_log(stream: BinaryIO) -> bool:
    path = _path_of(stream)
    try:
        return path is not None and path.with_name(f"{path.name}-wal").stat().st_size > 0
    except OSError:
        return False


def tables_of(database: "sqlite3.Connection") -> list[str]:
    """Its tables, without those of SQLite itself and those that are computed by a module.

    Raises:
        sqlite3.Error: it is damaged.
    """
    rows = database.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
        " AND sql NOT LIKE 'CREATE VIRTUAL%' ORDER BY rowid LIMIT 1000"
    )
    return [name for (name,) in rows if isinstance(name, str)]


def columns_of(database: "sqlite3.Connection", table: str) -> set[str]:
    """The names of a table's columns.

    Raises:
        sqlite3.Error: it is damaged.
    """
    return {name for _, name, *_ in database.execute(f"PRAGMA table_info({_quoted(table)})")}


def rows_of(database: "sqlite3.Connection", table: str) -> Iterator[dict[str, object]]:
    """The rows of a table by their columns, in their order on disk.

    Raises:
        sqlite3.Error: it is damaged from here on.
    """
    cursor = database.execute(f"SELECT * FROM {_quoted(table)}")  # noqa: S608 - quoted
    names = [column[0] for column in cursor.description]
    for row in cursor:
        yield dict(zip(names, row, strict=True))


def _quoted(name: str) -> str:
    """A name as SQL takes it."""
    escaped = name.replace('"', '""')
    return f'"{escaped}"'

"""Writing so that a reader sees the old or the new, never a part, and so that both outlast a power cut.

A `draft` takes its place by rename. Whole folders are published the same way by `engine.artifacts.publishing`.
"""

import contextlib
import ctypes
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import JsonValue

_SYNC_FILE_RANGE_WRITE = 2


def sync(path: Path) -> None:
    """Wait until a file is on disk, or, of a folder, the names in it: a rename is safe only then (fsync(2)).

    Raises:
        OSError: the disk refused.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def begin_to_write(descriptor: int, start: int, size: int) -> None:
    """Have the disk begin with these bytes of a file, so that there is less to wait for later (sync_file_range(2)).

    Nothing is promised by it: whether they are on disk, and what went wrong, is for `os.fdatasync` to say.
    """
    if (begin := getattr(ctypes.CDLL(None), "sync_file_range", None)) is not None:
        begin(descriptor, ctypes.c_int64(start), ctypes.c_int64(size), _SYNC_FILE_RANGE_WRITE)


@contextlib.contextmanager
def draft(path: Path) -> Iterator[Path]:
    """Where to make a file, or a symbolic link, that becomes ``path`` when the block ends, and vanishes if it fails.

    Raises:
        OSError: the disk refused; what was at ``path`` is there still.
    """
    made = path.with_name(f".tmp-{path.name}-{os.getpid()}")
    made.unlink(missing_ok=True)
    try:
        yield made
        if not made.is_symlink():
            sync(made)
        made.rename(path)
    except BaseException:
        made.unlink(missing_ok=True)
        raise
    sync(path.parent)


def write(path: Path, content: bytes | str) -> None:
    """Write a file, text as UTF-8, by way of a `draft`.

    Raises:
        OSError: the disk refused; the old file, if any, is there still.
    """
    with draft(path) as made:
        made.write_bytes(content.encode() if isinstance(content, str) else content)


def write_private(path: Path, content: str | None) -> None:
    """Write a file that nobody but this user may read, as UTF-8, by way of a `draft`; null: there is to be none.

    Raises:
        OSError: the disk refused; the old file, if any, is there still.
    """
    if content is None:
        path.unlink(missing_ok=True)
        return
    with draft(path) as made:
        made.touch(mode=0o600)
        made.write_text(content, encoding="utf-8")


def write_json(path: Path, value: Mapping[str, JsonValue]) -> None:
    """Write a JSON object, indented for people, by way of a `draft`.

    Raises:
        OSError: the disk refused; the old file, if any, is there still.
    """
    write(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")

"""Putting files into the inbox so that thord sees each whole or not at all, and never overwrites another."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING

from control import errors
from control.paths import is_ignored

if TYPE_CHECKING:
    from collections.abc import Iterator

_LONGEST_NAME = 230
"""Bytes; file systems take 255, and a sum may come on top."""


def put(source: IO[bytes], name: str, folder: Path) -> tuple[Path, bool]:
    """Copy a stream into a folder of the inbox; the file it became, and whether it is a new one.

    It is written under a hidden name, which thord leaves alone, and linked to its own name when it is complete and on
    disk. Where that name is taken it gets one with its sum; the same content under the same name is put only once.

    Raises:
        ThordError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor, draft = tempfile.mkstemp(prefix=".tmp-", dir=folder)
        try:
            with os.fdopen(descriptor, "wb") as file:
                shutil.copyfileobj(source, file, 1 << 20)
                file.flush()
                _give_to_owner_of(folder, file.fileno())
                os.fsync(file.fileno())
            target, is_new = _link(Path(draft), folder / _readable(name))
        finally:
            Path(draft).unlink(missing_ok=True)
        _fsync(folder)
    except PermissionError as error:
        raise errors.NotPermittedError(
            f"this user may not write {folder}; become a member of its group, or use sudo"
        ) from error
    except OSError as error:
        raise errors.ThordError(f"{name} could not be copied into {folder}: {error.strerror}") from error
    return target, is_new


def files_in(path: Path) -> Iterator[tuple[Path, str]]:
    """A file, or every visible file in a folder and below, each with the name it gets in the inbox.

    Raises:
        NotFoundError: there is no such file.
    """
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            inner = file.relative_to(path)
            if file.is_file() and not any(part.startswith(".") for part in inner.parts):
                yield file, "-".join(inner.parts)
    elif path.exists():
        yield path, path.name
    else:
        raise errors.NotFoundError(f"{path}: no such file")


def _readable(name: str) -> str:
    """A name that thord does not leave alone, with room for a sum. Of a long one the end is kept."""
    if len(os.fsencode(name)) > _LONGEST_NAME:
        name = os.fsencode(name)[-_LONGEST_NAME:].decode(errors="ignore")
    name = name.lstrip(".#") or "stdin"
    return f"{name}.txt" if is_ignored(name) else name


def _link(draft: Path, target: Path) -> tuple[Path, bool]:
    try:
        target.hardlink_to(draft)
        return target, True
    except FileExistsError:
        with draft.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        target = target.with_name(f"{target.stem}-{digest[:12]}{target.suffix}")
        if target.exists():
            return target, False
        target.hardlink_to(draft)
    return target, True


def _give_to_owner_of(folder: Path, descriptor: int) -> None:
    """thord must be able to read it, and nobody else: root's files are given to the owner of the inbox."""
    os.fchmod(descriptor, 0o640)
    if os.geteuid() == 0:
        owner = folder.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def _fsync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

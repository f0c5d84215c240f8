"""Cutting what was forgotten out of files in the inbox.

| a file | becomes |
| --- | --- |
| that holds nothing of it | is left alone |
| whose records can be cut out by their bytes | the same file without them, in place of the old one by rename |
| that holds nothing else, or is packed, a table, a database, in another encoding | removed |

Whether a cut is good is not guessed: the shorter file is read, and must give exactly the other samples, or the file is
removed. What else was in it stays in the ledger, and is learned or kept as before.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from daemon.workers.intake import folders
from engine import disk
from engine.data.readers import loaders
from engine.data.readers.items import Found
from engine.data.records.limits import Limits
from engine.data.samples import Sample

Fate = Literal["untouched", "cut", "removed"]


@dataclass
class _Contents:
    """What a file gives: identities of what stays, and the bytes of what is to go."""

    stay: list[str] = field(default_factory=list)
    go: list[tuple[int, int]] = field(default_factory=list)
    refused: int = 0


def forget_in(
    path: Path, limits: Limits, is_forgotten: Callable[[Sample, str], bool], advance: Callable[[], None]
) -> Fate:
    """Take what ``is_forgotten`` says out of a file. ``advance`` is called for everything found, and may raise.

    Raises:
        OSError: the file cannot be read, written or removed.
    """
    found = _read(path, path, limits, is_forgotten, advance)
    if not found.go:
        return "untouched"
    if (found.stay or found.refused) and _cut(path, found, limits, is_forgotten, advance):
        return "cut"
    path.unlink()
    disk.sync(path.parent)
    return "removed"


def _read(
    content: Path,
    path: Path,
    limits: Limits,
    is_forgotten: Callable[[Sample, str], bool],
    advance: Callable[[], None],
) -> _Contents:
    """What ``content`` gives when it is read as the file at ``path``."""
    found = _Contents()
    with content.open("rb") as stream:
        for item in loaders.read(path, stream, limits, is_corpus=folders.is_corpus(path)):
            advance()
            if not isinstance(item, Found):
                found.refused += 1
                continue
            identity = item.sample.identity
            if is_forgotten(item.sample, identity):
                found.go.append((item.start, item.end))
            else:
                found.stay.append(identity)
    return found


def _cut(
    path: Path,
    found: _Contents,
    limits: Limits,
    is_forgotten: Callable[[Sample, str], bool],
    advance: Callable[[], None],
) -> bool:
    """Put a shorter file in place of this one; false where the shorter one does not say the rest."""
    content = path.read_bytes()
    for start, end in sorted(set(found.go), reverse=True):
        content = _without(content, start, end)
    status = path.stat()
    draft = path.with_name(f".tmp-{os.getpid()}")  # the name of the file may leave no room for more
    try:
        draft.write_bytes(content)
        draft.chmod(status.st_mode & 0o7777)
        after = _read(draft, path, limits, is_forgotten, advance)
        if after.go or after.stay != found.stay or after.refused > found.refused:
            return False
        disk.sync(draft)
        draft.rename(path)
        disk.sync(path.parent)
    finally:
        draft.unlink(missing_ok=True)
    return True


def _without(content: bytes, start: int, end: int) -> bytes:
    """A record cut out, with its line end, or with the comma that parts it from the next one or the last one."""
    before, after = content[:start], content[end:]
    if after.lstrip()[:1] == b",":
        return before + after.lstrip()[1:]
    if before.rstrip()[-1:] == b",":
        return before.rstrip()[:-1] + after
    return before + after.removeprefix(b"\r").removeprefix(b"\n")

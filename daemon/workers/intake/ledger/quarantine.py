"""What was refused: a row with the reason, and a copy to look at. The file itself is never touched."""

import hashlib
import os
import sqlite3
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from daemon.workers.intake.ledger.database import now
from engine.data.storable import storable, storable_path

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Refusal:
    """Bytes ``start`` to ``end`` of a file, and why they were refused; line 0 means the whole file.

    ``trace`` says where reading it raised what nobody expected.
    """

    reason: str
    line: int
    start: int
    end: int
    trace: str = ""


class Quarantine:
    """The table of refusals and the folder of copies, named by their sum so that the same bytes are kept once."""

    def __init__(self, database: sqlite3.Connection, folder: Path) -> None:
        self._database = database
        self._folder = folder

    def add(self, source: int, path: Path, refusal: Refusal) -> None:
        """Record a refusal of which there is nothing to copy."""
        self._insert(source, path, refusal, "", "")

    def add_all(self, source: int, path: Path, refusals: Iterable[Refusal], descriptor: int, most_bytes: int) -> None:
        """Record the refusals of an open file; a copy holds at most the first ``most_bytes`` of what was refused.

        Members of a packed file have the place of the whole file: what several refusals mean is copied once.

        Raises:
            OSError: a copy cannot be written.
        """
        copies: dict[tuple[int, int], tuple[str, str]] = {}
        for refusal in refusals:
            place = (refusal.start, refusal.end)
            if place not in copies:
                copies[place] = self._copy(refusal, descriptor, most_bytes)
            self._insert(source, path, refusal, *copies[place])

    def _insert(self, source: int, path: Path, refusal: Refusal, copy: str, digest: str) -> None:
        self._database.execute(
            "INSERT INTO refusals (at, file, line, reason, copy, sha256, size, source, start, trace)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(now(), storable_path(path), refusal.line, storable(refusal.reason), copy, digest),
                *(refusal.end - refusal.start, source, refusal.start, refusal.trace),
            ),
        )

    def clear(self, source: int, start: int = 0) -> None:
        """Forget what was refused of a file from byte ``start`` on: it is being read again."""
        copies = self._database.execute(
            "SELECT DISTINCT copy, sha256 FROM refusals WHERE source = ? AND start >= ?", (source, start)
        ).fetchall()
        self._database.execute("DELETE FROM refusals WHERE source = ? AND start >= ?", (source, start))
        for copy, digest in copies:
            if copy and not self._database.execute("SELECT 1 FROM refusals WHERE sha256 = ?", (digest,)).fetchone():
                Path(copy).unlink(missing_ok=True)

    def rename(self, source: int, path: Path) -> None:
        """Give the refusals of a file its new name."""
        self._database.execute("UPDATE refusals SET file = ? WHERE source = ?", (storable_path(path), source))

    def reasons(self, source: int) -> list[str]:
        """Why something of a file was refused."""
        rows = self._database.execute("SELECT reason FROM refusals WHERE source = ? ORDER BY start", (source,))
        return [reason for (reason,) in rows]

    def sources(self) -> list[tuple[int, Path]]:
        """The files of which something was refused."""
        rows = self._database.execute(
            "SELECT id, path FROM sources WHERE id IN (SELECT source FROM refusals) ORDER BY id"
        )
        return [(number, Path(os.fsdecode(path))) for number, path in rows]

    def copies(self, source: int) -> list[Path]:
        """The copies of what was refused of a file."""
        rows = self._database.execute(
            "SELECT DISTINCT copy FROM refusals WHERE source = ? AND copy <> '' ORDER BY start", (source,)
        )
        return [Path(copy) for (copy,) in rows]

    def _copy(self, refusal: Refusal, descriptor: int, most_bytes: int) -> tuple[str, str]:
        digest = hashlib.sha256()
        self._folder.mkdir(parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(prefix=".tmp-", dir=self._folder)
        try:
            with open(handle, "wb") as file:  # noqa: PTH123 - a descriptor
                at, end = refusal.start, min(refusal.end, refusal.start + most_bytes)
                while at < end and (chunk := os.pread(descriptor, min(_CHUNK, end - at), at)):
                    digest.update(chunk)
                    file.write(chunk)
                    at += len(chunk)
            copy = self._folder / digest.hexdigest()
            Path(draft).rename(copy)
        except OSError:
            Path(draft).unlink(missing_ok=True)
            raise
        return str(copy), digest.hexdigest()

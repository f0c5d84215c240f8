"""The files that were read: how they looked then, and where to read on."""

import hashlib
import os
import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from daemon.workers.intake.folders import Signature
from daemon.workers.intake.ledger.candidate import Candidate
from daemon.workers.intake.ledger.database import now
from daemon.workers.intake.ledger.dedup import Outcome, Tail
from engine.data.readers.items import Resume
from engine.data.samples import Dialogue, Labelled, Preference, Sample, Text

_END_BYTES = 4096
_SELECT = (
    "SELECT id, path, device, inode, size, mtime_ns, format, offset, line, fingerprint,"
    " tail, tail_length, tail_start, tail_stored FROM sources"
)
UNREAD = Resume("plain", 0, 1)


@dataclass(frozen=True, slots=True)
class Source:
    """A file as it was when it was last read."""

    id: int
    path: Path
    signature: Signature
    resume: Resume
    fingerprint: bytes
    tail: Tail | None


@dataclass(slots=True)
class Contents:
    """What something was read as: samples of each kind, known before or not, and the turns of its dialogues."""

    dialogues: int = 0
    turns: int = 0
    texts: int = 0
    preferences: int = 0
    labelled: int = 0

    def note(self, sample: Sample) -> None:
        """Count a sample."""
        match sample:
            case Dialogue(messages=messages):
                self.dialogues += 1
                self.turns += len(messages)
            case Text():
                self.texts += 1
            case Preference():
                self.preferences += 1
            case Labelled():
                self.labelled += 1

    def note_all(self, candidates: Sequence[Candidate]) -> None:
        """Count samples on their way into the ledger."""
        kinds = Counter(each.kind for each in candidates)
        self.dialogues += kinds["dialogue"]
        self.turns += sum(each.turns for each in candidates)
        self.texts += kinds["text"]
        self.preferences += kinds["preference"]
        self.labelled += kinds["labelled"]

    def add(self, other: "Contents") -> None:
        """Add the counts of ``other`` to these."""
        self.dialogues += other.dialogues
        self.turns += other.turns
        self.texts += other.texts
        self.preferences += other.preferences
        self.labelled += other.labelled


@dataclass(slots=True)
class Findings:
    """What reading brought: samples new, known, held and forgotten before; records that were refused.

    Attributes:
        contents: the same samples by kind.
    """

    added: int = 0
    duplicates: int = 0
    held: int = 0
    quarantined: int = 0
    forgotten: int = 0
    contents: Contents = field(default_factory=Contents)

    def count(self, outcome: Outcome, number: int) -> None:
        """Count samples that had an outcome."""
        match outcome:
            case "added":
                self.added += number
            case "duplicate":
                self.duplicates += number
            case "held":
                self.held += number
            case "forgotten":
                self.forgotten += number

    def add(self, other: "Findings") -> None:
        """Add the counts of ``other`` to these."""
        self.added += other.added
        self.duplicates += other.duplicates
        self.held += other.held
        self.quarantined += other.quarantined
        self.forgotten += other.forgotten
        self.contents.add(other.contents)


@dataclass(frozen=True, slots=True)
class FileOutcome:
    """What became of a file: how it was read, what was found in it, and the first refusals of it, each with its line.

    Line 0 means the whole file.
    """

    format: str
    found: Findings
    refusals: list[tuple[int, str]]


class Sources:
    """Reads and writes the table of files."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def at(self, path: Path) -> Source | None:
        """What is known of the file at ``path``."""
        return self._one(f"{_SELECT} WHERE path = ?", os.fsencode(path))

    def signature_at(self, path: Path) -> Signature | None:
        """How the file at ``path`` looked when it was read."""
        found = self._database.execute(
            "SELECT device, inode, size, mtime_ns FROM sources WHERE path = ?", (os.fsencode(path),)
        ).fetchone()
        return Signature(*found) if found else None

    def renamed(self, signature: Signature) -> Source | None:
        """A file that looked exactly so under a path where nothing is any more."""
        found = self._one(
            f"{_SELECT} WHERE inode = ? AND device = ? AND size = ? AND mtime_ns = ?",
            *(signature.inode, signature.device, signature.size, signature.mtime_ns),
        )
        return found if found and not os.path.lexists(found.path) else None

    def begin(self, path: Path, signature: Signature) -> int:
        """The number of the file at ``path``, which is being read for the first time."""
        inserted = self._database.execute(
            "INSERT OR IGNORE INTO sources (path, device, inode, size, mtime_ns, format, offset, line, fingerprint,"
            " read_at) VALUES (?, ?, ?, -1, 0, 'plain', 0, 1, x'', ?)",
            (os.fsencode(path), signature.device, signature.inode, now()),
        )
        if inserted.rowcount and inserted.lastrowid is not None:
            return inserted.lastrowid
        (number,) = self._database.execute("SELECT id FROM sources WHERE path = ?", (os.fsencode(path),)).fetchone()
        return int(number)

    def move(self, number: int, path: Path) -> None:
        """Give a file its new name."""
        self._database.execute("UPDATE sources SET path = ? WHERE id = ?", (os.fsencode(path), number))

    def finish(self, number: int, signature: Signature, resume: Resume, fingerprint: bytes, tail: Tail | None) -> None:
        """Note that a file was read to its end, or set aside, and how to read on."""
        parts = (
            (bytes.fromhex(tail.whole), tail.length, tail.start, bytes.fromhex(tail.stored)) if tail else (None,) * 4
        )
        self._database.execute(
            "UPDATE sources SET device = ?, inode = ?, size = ?, mtime_ns = ?, format = ?, offset = ?, line = ?,"
            " fingerprint = ?, tail = ?, tail_length = ?, tail_start = ?, tail_stored = ?, read_at = ? WHERE id = ?",
            (
                *(signature.device, signature.inode, signature.size, signature.mtime_ns),
                *(resume.format, resume.offset, resume.line, fingerprint, *parts, now(), number),
            ),
        )

    def count(self, number: int, found: Findings, *, anew: bool) -> None:
        """So many samples were found in the file, in what it grew by or (``anew``) in all of it."""
        contents = found.contents
        self._database.execute(
            "UPDATE sources SET added = added * ?1 + ?2, duplicates = duplicates * ?1 + ?3, held = held * ?1 + ?4,"
            " dialogues = dialogues * ?1 + ?5, turns = turns * ?1 + ?6, texts = texts * ?1 + ?7,"
            " preferences = preferences * ?1 + ?8, labelled = labelled * ?1 + ?9, forgotten = forgotten * ?1 + ?10"
            " WHERE id = ?11",
            (
                *(int(not anew), found.added, found.duplicates, found.held),
                *(contents.dialogues, contents.turns, contents.texts, contents.preferences, contents.labelled),
                *(found.forgotten, number),
            ),
        )

    def outcome(self, path: Path, most_refusals: int) -> FileOutcome | None:
        """What became of the file at ``path``, with its first refusals; none where it was not read yet."""
        row = self._database.execute(
            "SELECT id, format, added, duplicates, held, (SELECT count(*) FROM refusals WHERE source = sources.id),"
            " forgotten, dialogues, turns, texts, preferences, labelled FROM sources WHERE path = ?",
            (os.fsencode(path),),
        ).fetchone()
        if row is None:
            return None
        number, name, added, duplicates, held, refused, forgotten, *contents = row
        refusals = self._database.execute(
            "SELECT line, reason FROM refusals WHERE source = ? ORDER BY start, id LIMIT ?", (number, most_refusals)
        ).fetchall()
        return FileOutcome(name, Findings(added, duplicates, held, refused, forgotten, Contents(*contents)), refusals)

    def _one(self, query: str, *values: bytes | int) -> Source | None:
        row = self._database.execute(query, values).fetchone()
        if row is None:
            return None
        number, path, device, inode, size, mtime_ns, name, offset, line, fingerprint, *tail = row
        return Source(
            number,
            Path(os.fsdecode(path)),
            Signature(device, inode, size, mtime_ns),
            Resume(name, offset, line),
            fingerprint,
            Tail(tail[0].hex(), tail[1], tail[2], tail[3].hex()) if tail[0] else None,
        )


def fingerprint_of(descriptor: int, offset: int) -> bytes:
    """A sum over the first bytes of a file and the last ones before ``offset``: while it holds, the file only grew.

    An edit in between that leaves both ends alone is not noticed. Empty where the disk fails to read.
    """
    start = max(0, offset - _END_BYTES)
    try:
        digest = hashlib.sha256(os.pread(descriptor, min(_END_BYTES, offset), 0))
        digest.update(os.pread(descriptor, offset - start, start))
    except OSError:
        return b""
    return digest.digest()

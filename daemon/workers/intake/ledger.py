"""``conversations.db``: every conversation, once, and what became of it. The intake is its one writer.

A conversation is ``new``, then ``assigned`` to one cycle, then ``learned`` or ``new`` again, or ``set_aside`` after too
many tries; or it is ``held_out`` from the start. `forms` holds the identity of everything that a conversation covers:
itself, and each beginning of it, so that neither a copy nor an earlier or later form of it is learned twice.
"""

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from daemon import migrations
from daemon.messages import Counts
from daemon.workers.intake import schema
from engine.data.samples import Conversation, Dialogue, Sample
from engine.data.segments import Location, Segments

State = Literal["new", "assigned", "learned", "held_out", "set_aside"]

_BREATH = 16 << 20
_SELECT = "SELECT id, identity, state, turns, learn_from, segment, offset, length FROM conversations"


class LedgerError(Exception):
    """The ledger cannot be used; the message says why and what to do."""


class StorageError(Exception):
    """Ledger or segments cannot be written now: a full or read-only disk. What was under way is undone."""


@dataclass(frozen=True, slots=True)
class Row:
    """A conversation as recorded."""

    id: int
    identity: str
    state: State
    turns: int
    learn_from: int
    location: Location


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a conversation was read: the source's number, and the line."""

    source: int
    line: int


def open_database(file: Path) -> sqlite3.Connection:
    """The ledger, checked and brought up to date.

    Raises:
        LedgerError: it is damaged, or was written by a newer thord.
        StorageError: it cannot be opened for writing.
    """
    database = None
    try:
        database = sqlite3.connect(file, isolation_level=None, timeout=30)
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.execute("PRAGMA foreign_keys = ON")
        _check(database, file)
        migrations.migrate(database, schema.MIGRATIONS)
    except sqlite3.OperationalError as error:
        _close(database)
        raise StorageError(f"{file}: {error}") from error
    except sqlite3.DatabaseError as error:
        _close(database)
        raise LedgerError(_damaged(file, str(error))) from error
    except migrations.NewerSchemaError as error:
        _close(database)
        raise LedgerError(f"{file} was written by a newer thord: {error}") from error
    except LedgerError:
        _close(database)
        raise
    return database


class Ledger:
    """Conversations in database and segments, kept in step: what the database names is on disk."""

    def __init__(self, database: sqlite3.Connection, segments: Segments) -> None:
        self.database = database
        self._segments = segments

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, segments first. Also undone where the block raises.

        Raises:
            StorageError: the disk is full or cannot be written.
        """
        try:
            self.database.execute("BEGIN IMMEDIATE")
            yield
            self._segments.sync()
            self.database.execute("COMMIT")
        except (sqlite3.OperationalError, OSError) as error:
            self._undo()
            raise StorageError(f"the ledger cannot be written: {error}") from error
        except BaseException:
            self._undo()
            raise

    def breathe(self) -> None:
        """Inside a long transaction, at a point where what was done may stand: write it once it is much.

        Raises:
            sqlite3.OperationalError, OSError: as `transaction`, which handles them.
        """
        if self._segments.waiting_bytes > _BREATH:
            self._segments.sync()
            self.database.execute("COMMIT")
            self.database.execute("BEGIN IMMEDIATE")

    def counts(self) -> Counts:
        """How many there are in each state, without counting."""
        return Counts.model_validate(dict(self.database.execute("SELECT state, number FROM counts")))

    def find(self, identity: str) -> Row | None:
        """The conversation with exactly this identity."""
        return self._row(f"{_SELECT} WHERE identity = ?", identity)

    def covering(self, identity: str) -> Row | None:
        """The conversation that is or begins with what has this identity."""
        query = f"{_SELECT} WHERE id = (SELECT conversation FROM forms WHERE identity = ?)"  # noqa: S608 - a constant
        return self._row(query, identity)

    def longest_beginning(self, conversation: Dialogue) -> tuple[Row, int, str] | None:
        """The longest beginning of a dialogue that is known, the number of its turns, and its identity."""
        beginnings = conversation.prefix_identities()
        for start in range(0, len(beginnings), 500):
            wanted = beginnings[start : start + 500]
            marks = ", ".join("?" * len(wanted))
            found = self.database.execute(
                f"SELECT identity FROM forms WHERE identity IN ({marks})",  # noqa: S608 - only question marks
                [bytes.fromhex(identity) for identity in wanted],
            )
            known = {identity.hex() for (identity,) in found}
            for position, identity in enumerate(wanted, start):
                if identity in known and (row := self.covering(identity)):
                    return row, len(conversation.messages) - 1 - position, identity
        return None

    def insert(self, conversation: Conversation, state: State, origin: Origin, learn_from: int = 0) -> None:
        """Record a conversation that is not known yet."""
        location = self._segments.append(conversation)
        identity = conversation.identity
        cursor = self.database.execute(
            "INSERT INTO conversations (identity, state, turns, learn_from, point, segment, offset, length, source,"
            " line, added_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                bytes.fromhex(identity),
                state,
                turns_of(conversation),
                learn_from,
                _point(identity),
                location.segment,
                location.offset,
                location.length,
                origin.source,
                origin.line,
                now(),
            ),
        )
        assert cursor.lastrowid is not None
        self._cover(cursor.lastrowid, conversation)

    def replace(self, row: Row, conversation: Conversation, state: State) -> None:
        """Let a conversation that no cycle has taken yet be its own longer form; its place in the queue stays."""
        location = self._segments.append(conversation)
        identity = conversation.identity
        self.database.execute(
            "UPDATE conversations SET identity = ?, state = ?, turns = ?, point = ?, segment = ?, offset = ?,"
            " length = ?, tries = 0, note = NULL WHERE id = ?",
            (
                bytes.fromhex(identity),
                state,
                turns_of(conversation),
                _point(identity),
                location.segment,
                location.offset,
                location.length,
                row.id,
            ),
        )
        self._cover(row.id, conversation)

    def cover(self, identity: str, by: str) -> None:
        """Note that everything in a form is said by the conversation that covers ``by``."""
        self.database.execute(
            "INSERT OR IGNORE INTO forms SELECT ?, conversation FROM forms WHERE identity = ?",
            (bytes.fromhex(identity), bytes.fromhex(by)),
        )

    def hold_out(self, opening: str, numbers: list[int]) -> None:
        """Hold out these new conversations, and whatever comes with their ``opening`` (`Conversation.group`)."""
        self.database.execute("INSERT OR IGNORE INTO held_out_openings VALUES (?)", (bytes.fromhex(opening),))
        self.database.executemany(
            "UPDATE conversations SET state = 'held_out' WHERE id = ? AND state = 'new'",
            [(number,) for number in numbers],
        )

    def holds_out(self, opening: str) -> bool:
        """Whether conversations of this opening were held out by `hold_out`."""
        query = "SELECT 1 FROM held_out_openings WHERE opening = ?"
        return self.database.execute(query, (bytes.fromhex(opening),)).fetchone() is not None

    def read(self, location: Location) -> Sample:
        """The text of a conversation.

        Raises:
            DamagedSegmentError: it is not there any more.
        """
        return self._segments.read(location)

    def close(self) -> None:
        """Let go of the files."""
        self._segments.close()
        _close(self.database)

    def _cover(self, number: int, conversation: Conversation) -> None:
        forms = [conversation.identity, *_answered_beginnings(conversation)]
        self.database.executemany(
            "INSERT OR IGNORE INTO forms VALUES (?, ?)", [(bytes.fromhex(identity), number) for identity in forms]
        )

    def _row(self, query: str, identity: str) -> Row | None:
        found = self.database.execute(query, (bytes.fromhex(identity),)).fetchone()
        if found is None:
            return None
        number, own, state, turns, learn_from, *location = found
        return Row(number, own.hex(), state, turns, learn_from, Location(*location))

    def _undo(self) -> None:
        self._segments.rollback()
        if self.database.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                self.database.execute("ROLLBACK")


def now() -> str:
    """The time, as every table has it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def turns_of(conversation: Conversation) -> int:
    """How many turns a dialogue has; 0 for plain text."""
    return len(conversation.messages) if isinstance(conversation, Dialogue) else 0


def _answered_beginnings(conversation: Conversation) -> list[str]:
    """Identities of the beginnings that hold an answer; a question alone is shared by conversations that differ."""
    if not isinstance(conversation, Dialogue):
        return []
    first = next((turn for turn, m in enumerate(conversation.messages, 1) if m.role == "assistant"), 0)
    identities = conversation.prefix_identities()
    return identities[: len(conversation.messages) - first] if first else []


def _point(identity: str) -> int:
    """A number from 0 to 2**63 - 1, uniform over conversations."""
    return int(identity[:16], 16) >> 1


def _check(database: sqlite3.Connection, file: Path) -> None:
    problems = [" ".join(text.split()) for (text,) in database.execute("PRAGMA quick_check(3)") if text != "ok"]
    if problems:
        raise LedgerError(_damaged(file, "; ".join(problems)))


def _damaged(file: Path, why: str) -> str:
    return (
        f"{file} is damaged: {why}. Stop thord, put the newest copy from {file.parent / 'backups'} in its place "
        f"(remove {file.name}-wal and {file.name}-shm), start thord"
    )


def _close(database: sqlite3.Connection | None) -> None:
    if database is not None:
        with contextlib.suppress(sqlite3.Error):
            database.close()

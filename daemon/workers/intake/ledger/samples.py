"""The table of samples, and of all the identities that each of them covers.

A dialogue or text is ``new``, then ``assigned`` to one cycle, then ``learned`` or ``new`` again, or ``set_aside`` after
too many tries; or it is ``held_out`` from the start. A sample of a kind that no objective learns yet is ``held``.
`aliases` holds the identity of everything that a sample covers: itself, and each beginning of it, so that neither a
copy nor an earlier or later form of it is learned twice.
"""

import sqlite3
from dataclasses import dataclass
from typing import Literal

from daemon.workers.intake.ledger.database import now
from engine.data.samples import Dialogue, Sample
from engine.data.segments import Location, Segments

State = Literal["new", "assigned", "learned", "held_out", "set_aside", "held"]

_SELECT = "SELECT id, identity, state, turns, learn_from, segment, offset, length FROM samples"
_MOST_LOOKED_UP = 500


@dataclass(frozen=True, slots=True)
class Row:
    """A sample as the ledger has it, without its text."""

    id: int
    identity: str
    state: State
    turns: int
    learn_from: int
    location: Location


@dataclass(frozen=True, slots=True)
class FoundAt:
    """Where a sample was read: the source's number, and the line."""

    source: int
    line: int


class Samples:
    """The table, and the segments that hold what it names. Calls that write belong inside a transaction."""

    def __init__(self, database: sqlite3.Connection, segments: Segments) -> None:
        self._database = database
        self._segments = segments

    def find(self, identity: str) -> Row | None:
        """The sample with exactly this identity."""
        return self._row(f"{_SELECT} WHERE identity = ?", identity)

    def covering(self, identity: str) -> Row | None:
        """The sample that is or begins with what has this identity."""
        query = f"{_SELECT} WHERE id = (SELECT sample FROM aliases WHERE identity = ?)"  # noqa: S608 - a constant
        return self._row(query, identity)

    def longest_beginning(self, dialogue: Dialogue) -> tuple[Row, int, str] | None:
        """The longest beginning of a dialogue that is known, the number of its turns, and its identity."""
        beginnings = dialogue.prefix_identities()
        for start in range(0, len(beginnings), _MOST_LOOKED_UP):
            wanted = beginnings[start : start + _MOST_LOOKED_UP]
            marks = ", ".join("?" * len(wanted))
            found = self._database.execute(
                f"SELECT identity FROM aliases WHERE identity IN ({marks})",  # noqa: S608 - only question marks
                [bytes.fromhex(identity) for identity in wanted],
            )
            known = {identity.hex() for (identity,) in found}
            for position, identity in enumerate(wanted, start):
                if identity in known and (row := self.covering(identity)):
                    return row, len(dialogue.messages) - 1 - position, identity
        return None

    def insert(self, sample: Sample, identity: str, state: State, found: FoundAt, learn_from: int = 0) -> None:
        """Record a sample that is not known yet."""
        location = self._segments.append(sample)
        cursor = self._database.execute(
            "INSERT INTO samples (identity, kind, state, turns, learn_from, point, segment, offset, length, source,"
            " line, added_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                bytes.fromhex(identity),
                sample.kind,
                state,
                _turns(sample),
                learn_from,
                _point(identity),
                location.segment,
                location.offset,
                location.length,
                found.source,
                found.line,
                now(),
            ),
        )
        assert cursor.lastrowid is not None
        self._cover(cursor.lastrowid, sample, identity)

    def replace(self, row: Row, sample: Sample, identity: str, state: State) -> None:
        """Let a sample that no cycle has taken yet be its own longer form; its place in the queue stays."""
        location = self._segments.append(sample)
        self._database.execute(
            "UPDATE samples SET identity = ?, state = ?, turns = ?, point = ?, segment = ?, offset = ?,"
            " length = ?, tries = 0, note = NULL WHERE id = ?",
            (
                bytes.fromhex(identity),
                state,
                _turns(sample),
                _point(identity),
                location.segment,
                location.offset,
                location.length,
                row.id,
            ),
        )
        self._cover(row.id, sample, identity)

    def cover(self, identity: str, by: str) -> None:
        """Note that everything with this identity is said by the sample that covers ``by``."""
        self._database.execute(
            "INSERT OR IGNORE INTO aliases SELECT ?, sample FROM aliases WHERE identity = ?",
            (bytes.fromhex(identity), bytes.fromhex(by)),
        )

    def hold_out(self, opening: str, numbers: list[int]) -> None:
        """Hold out these new samples, and whatever comes with their ``opening`` (`SampleProtocol.group`)."""
        self._database.execute("INSERT OR IGNORE INTO held_out_openings VALUES (?)", (bytes.fromhex(opening),))
        self._database.executemany(
            "UPDATE samples SET state = 'held_out' WHERE id = ? AND state = 'new'", [(number,) for number in numbers]
        )

    def holds_out(self, opening: str) -> bool:
        """Whether samples of this opening were held out by `hold_out`."""
        query = "SELECT 1 FROM held_out_openings WHERE opening = ?"
        return self._database.execute(query, (bytes.fromhex(opening),)).fetchone() is not None

    def new(self) -> list[tuple[int, Location]]:
        """The numbers of the new samples, in order, and where their texts are."""
        query = "SELECT id, segment, offset, length FROM samples WHERE state = 'new' ORDER BY id"
        return [(number, Location(*location)) for number, *location in self._database.execute(query)]

    def read(self, location: Location) -> Sample:
        """Read a sample from its segment.

        Raises:
            DamagedSegmentError: it is not there any more.
        """
        return self._segments.read(location)

    def _cover(self, number: int, sample: Sample, identity: str) -> None:
        covered = [identity, *(_answered_beginnings(sample) if isinstance(sample, Dialogue) else ())]
        self._database.executemany(
            "INSERT OR IGNORE INTO aliases VALUES (?, ?)", [(bytes.fromhex(alias), number) for alias in covered]
        )

    def _row(self, query: str, identity: str) -> Row | None:
        found = self._database.execute(query, (bytes.fromhex(identity),)).fetchone()
        if found is None:
            return None
        number, own, state, turns, learn_from, *location = found
        return Row(number, own.hex(), state, turns, learn_from, Location(*location))


def _turns(sample: Sample) -> int:
    """How many turns a dialogue has; 0 for other kinds."""
    return len(sample.messages) if isinstance(sample, Dialogue) else 0


def _answered_beginnings(dialogue: Dialogue) -> list[str]:
    """Identities of the beginnings that hold an answer; a question alone is shared by dialogues that differ."""
    first = next((turn for turn, m in enumerate(dialogue.messages, 1) if m.role == "assistant"), 0)
    identities = dialogue.prefix_identities()
    return identities[: len(dialogue.messages) - first] if first else []


def _point(identity: str) -> int:
    """A number from 0 to 2**63 - 1, uniform over samples."""
    return int(identity[:16], 16) >> 1

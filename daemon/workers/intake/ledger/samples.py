"""The table of samples, and of all the identities that each of them covers.

A dialogue or text is ``new``, then ``assigned`` to one cycle, then ``learned`` or ``new`` again, or ``set_aside`` after
too many tries; or it is ``held_out`` from the start. A sample of a kind that no objective learns yet is ``held``.
`aliases` holds the identity of everything that a sample covers: itself, and each beginning of it, so that neither a
copy nor an earlier or later form of it is learned twice.
"""

import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from daemon import sqlite
from daemon.workers.intake.ledger.candidate import Candidate
from daemon.workers.intake.ledger.database import now
from engine.data.samples import Sample
from engine.data.segments import Location, Segments

POINTS = 1 << 63
"""Where the hash of a sample may fall."""
State = Literal["new", "assigned", "learned", "held_out", "set_aside", "held"]

_SELECT = "SELECT id, identity, state, turns, learn_from, segment, offset, length FROM samples"


@dataclass(frozen=True, slots=True)
class Row:
    """A sample as the ledger has it, without its text."""

    id: int
    identity: str
    state: State
    turns: int
    learn_from: int
    location: Location


class Addition(NamedTuple):
    """A sample to record, and the state in which it begins; turns before ``learn_from`` are context only."""

    candidate: Candidate
    state: State
    learn_from: int = 0


class Samples:
    """The table, and the segments that hold what it names. Calls that write belong inside a transaction."""

    def __init__(self, database: sqlite3.Connection, segments: Segments) -> None:
        self._database = database
        self._segments = segments

    def find(self, identity: str) -> Row | None:
        """The sample with exactly this identity."""
        covering = "(SELECT sample FROM aliases WHERE identity = ?1)"
        return self._row(f"{_SELECT} WHERE id = {covering} AND identity = ?1", identity)

    def covering(self, identity: str) -> Row | None:
        """The sample that is or begins with what has this identity."""
        query = f"{_SELECT} WHERE id = (SELECT sample FROM aliases WHERE identity = ?)"  # noqa: S608 - a constant
        return self._row(query, identity)

    def covered(self, identities: Sequence[str]) -> set[str]:
        """Those of the identities that a sample covers."""
        return sqlite.hashes_found(self._database, "SELECT identity FROM aliases WHERE identity", identities)

    def longest_beginning(self, beginnings: Sequence[str]) -> tuple[Row, int, str] | None:
        """The longest beginning of a dialogue that is known, by how many turns it is shorter, and its identity."""
        known = self.covered(beginnings)
        for shorter, identity in enumerate(beginnings, 1):
            if identity in known and (row := self.covering(identity)):
                return row, shorter, identity
        return None

    def insert_all(self, additions: Sequence[Addition]) -> None:
        """Record samples that are not known yet, in this order."""
        if not additions:
            return
        (last,) = self._database.execute("SELECT coalesce(max(id), 0) FROM samples").fetchone()
        at = now()
        candidates = [candidate for candidate, _, _ in additions]
        identities = [sqlite.blob(candidate.identity) for candidate in candidates]
        numbers = range(last + 1, last + 1 + len(additions))
        locations = self._segments.append_all([candidate.canonical for candidate in candidates])
        self._database.executemany(
            "INSERT INTO samples (id, identity, kind, state, turns, learn_from, point, segment, offset, length, source,"
            " line, added_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    number,
                    identity,
                    kind,
                    state,
                    turns,
                    learn_from,
                    _point(identity),
                    *location,
                    source,
                    line,
                    at,
                )
                for number, identity, location, ((kind, turns, _, _, _, _, source, line), state, learn_from) in zip(
                    numbers, identities, locations, additions, strict=True
                )
            ],
        )
        self._database.executemany(
            "UPDATE counts SET number = number + ? WHERE state = ? AND kind = ?",
            [
                (number, *added)
                for added, number in Counter((each.state, each.candidate.kind) for each in additions).items()
            ],
        )
        self._cover(numbers, identities, candidates)

    def replace(self, row: Row, candidate: Candidate, state: State) -> None:
        """Let a sample that no cycle has taken yet be its own longer form; its place in the queue stays."""
        [location] = self._segments.append_all([candidate.canonical])
        identity = sqlite.blob(candidate.identity)
        self._database.execute(
            "UPDATE samples SET identity = ?, state = ?, turns = ?, point = ?, segment = ?, offset = ?,"
            " length = ?, tries = 0, note = NULL WHERE id = ?",
            (
                identity,
                state,
                candidate.turns,
                _point(identity),
                *location,
                row.id,
            ),
        )
        self._cover([row.id], [identity], [candidate])

    def cover(self, identity: str, by: str) -> None:
        """Note that everything with this identity is said by the sample that covers ``by``."""
        self._database.execute(
            "INSERT OR IGNORE INTO aliases SELECT ?, sample FROM aliases WHERE identity = ?",
            (sqlite.blob(identity), sqlite.blob(by)),
        )

    def hold_out(self, opening: str, numbers: list[int]) -> None:
        """Hold out these new samples, and whatever comes with their ``opening`` (`SampleProtocol.group`)."""
        self._database.execute("INSERT OR IGNORE INTO held_out_openings VALUES (?)", (sqlite.blob(opening),))
        self._database.executemany(
            "UPDATE samples SET state = 'held_out' WHERE id = ? AND state = 'new'", [(number,) for number in numbers]
        )

    def take_up(self, number: int, state: State) -> None:
        """Let a sample that is held be in another state from now on."""
        self._database.execute("UPDATE samples SET state = ? WHERE id = ? AND state = 'held'", (state, number))

    def openings_held_out(self, openings: Sequence[str]) -> set[str]:
        """Those of the openings of which samples were held out by `hold_out`; in most ledgers there are none."""
        if self._database.execute("SELECT 1 FROM held_out_openings LIMIT 1").fetchone() is None:
            return set()
        return sqlite.hashes_found(self._database, "SELECT opening FROM held_out_openings WHERE opening", openings)

    def new(self) -> list[tuple[int, Location]]:
        """The numbers of the new samples, in order, and where their texts are."""
        query = "SELECT id, segment, offset, length FROM samples WHERE state = 'new' ORDER BY id"
        return [(number, Location(*location)) for number, *location in self._database.execute(query)]

    def of_kind(self, kind: str, state: State) -> list[tuple[int, Location]]:
        """The same of the samples of a kind that are in a state."""
        query = "SELECT id, segment, offset, length FROM samples WHERE state = ? AND kind = ? ORDER BY id"
        return [(number, Location(*found)) for number, *found in self._database.execute(query, (state, kind))]

    def count(self, kind: str, states: Sequence[State]) -> int:
        """How many samples of a kind are in one of some states."""
        found = self._database.execute("SELECT state, number FROM counts WHERE kind = ?", (kind,)).fetchall()
        return sum(number for state, number in found if state in states)

    def read(self, location: Location) -> Sample:
        """Read a sample from its segment.

        Raises:
            DamagedSegmentError: it is not there any more.
        """
        return self._segments.read(location)

    def _cover(self, numbers: Sequence[int], identities: Sequence[bytearray], candidates: Sequence[Candidate]) -> None:
        """Note what samples cover, none of which was covered as a whole: an identity is never recorded twice."""
        self._database.executemany("INSERT INTO aliases VALUES (?, ?)", zip(identities, numbers, strict=True))
        self._database.executemany(
            "INSERT OR IGNORE INTO aliases VALUES (?, ?)",
            [
                (sqlite.blob(alias), number)
                for number, candidate in zip(numbers, candidates, strict=True)
                for alias in candidate.beginnings
            ],
        )

    def _row(self, query: str, identity: str) -> Row | None:
        found = self._database.execute(query, (sqlite.blob(identity),)).fetchone()
        if found is None:
            return None
        number, own, state, turns, learn_from, *location = found
        return Row(number, own.hex(), state, turns, learn_from, Location(*location))


def _point(identity: bytearray) -> int:
    """A number from 0 to `POINTS` - 1, uniform over samples."""
    return int.from_bytes(identity[:8], "big") >> 1

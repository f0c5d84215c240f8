"""Which samples a cycle gets, and what becomes of them when it ends. Every step may be repeated.

`assign` picks everything a cycle needs in one transaction and writes down the choice; the snapshot is made from that,
so one that a crash prevented comes out the same. `settle` gives the samples their final state, once.
"""

import heapq
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from daemon.settings.data import ReplayStrategy
from daemon.workers.intake.ledger import replay
from daemon.workers.intake.ledger.database import now
from daemon.workers.intake.ledger.samples import POINTS, Samples
from engine.data import validation
from engine.data.held_out import SEALED_SHARE, window_start
from engine.data.segments import DamagedSegmentError, Location
from engine.data.snapshot import Example, Origin
from engine.data.storable import storable_path

_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Quota:
    """What a cycle asks for. ``limit`` null: all that is new.

    ``held_out`` are those that gates read, and as many that are sealed; ``epoch`` says where the former begin.
    """

    limit: int | None
    minimum: int
    replay_share: float
    replay_strategy: ReplayStrategy
    held_out: int
    validation_share: float
    epoch: int = 0


class Assignments:
    """The tables of cycles and of what they were given."""

    def __init__(self, database: sqlite3.Connection, samples: Samples) -> None:
        self._database = database
        self._samples = samples

    def is_assigned(self, cycle: int) -> bool:
        """Whether the choice for this cycle was made."""
        return self._database.execute("SELECT 1 FROM cycles WHERE cycle = ?", (cycle,)).fetchone() is not None

    def assign(self, cycle: int, quota: Quota) -> int:
        """Choose for a cycle, inside a transaction; how many new conversations there are.

        Fewer than the minimum stay as they are and nothing is written.
        """
        (waiting,) = self._database.execute("SELECT sum(number) FROM counts WHERE state = 'new'").fetchone()
        found = waiting if quota.limit is None else min(waiting, quota.limit)
        if found < quota.minimum:
            return int(found)
        self._database.execute("INSERT INTO cycles (cycle, assigned_at) VALUES (?, ?)", (cycle, now()))
        self._add(cycle, 0, "new", "SELECT * FROM samples WHERE state = 'new' ORDER BY id LIMIT ?", (found,))
        self._divide(cycle, found, quota.validation_share)
        number = round(found * quota.replay_share / (1 - quota.replay_share))
        replayed = replay.draw(self._database, number, cycle, quota.replay_strategy)
        self._database.executemany(
            "INSERT INTO examples SELECT ?, ?, 'replay', id, learn_from, segment, offset, length, 0"
            " FROM samples WHERE id = ?",
            ((cycle, position, chosen) for position, chosen in enumerate(replayed, found)),
        )
        self._hold_out(cycle, found + len(replayed), quota)
        self._database.execute(
            "UPDATE samples SET state = 'assigned', cycle = ?1"
            " WHERE id IN (SELECT sample FROM examples WHERE cycle = ?1 AND origin = 'new')",
            (cycle,),
        )
        return int(found)

    def examples(self, cycle: int, *, held_out: bool, damaged: Callable[[int, str], object]) -> Iterator[Example]:
        """What was chosen for a cycle to be judged on, or else to learn from, in the order chosen.

        Of a sample whose text is damaged on disk, ``damaged`` is told the number, and what is wrong.
        """
        last = -1
        while True:  # page by page: what is read may be written to meanwhile, and may be more than memory holds
            rows = self._database.execute(
                "SELECT examples.position, origin, sample, examples.learn_from, validates, path, samples.line,"
                " examples.segment, examples.offset, examples.length FROM examples"
                " CROSS JOIN samples ON samples.id = sample CROSS JOIN sources ON sources.id = source"
                " WHERE examples.cycle = ? AND position > ? AND (origin = 'held_out') = ? ORDER BY position LIMIT ?",
                (cycle, last, held_out, _PAGE),
            ).fetchall()
            for position, origin, number, learn_from, validates, path, line, *location in rows:
                last = position
                source = f"{storable_path(Path(os.fsdecode(path)))}:{line}"
                try:
                    sample = self._samples.read(Location(*location))
                except DamagedSegmentError as error:
                    damaged(number, f"{source}: {error}")
                    continue
                yield Example(sample, sample.identity, origin, learn_from, source, bool(validates))
            if len(rows) < _PAGE:
                return

    def record_snapshot(self, cycle: int, sha256: str) -> None:
        """Note that the snapshot of a cycle is on disk."""
        self._database.execute("UPDATE cycles SET sha256 = ? WHERE cycle = ?", (sha256, cycle))

    def set_aside(self, number: int, why: str) -> None:
        """Take a sample whose text is damaged out of the queue."""
        self._database.execute(
            "UPDATE samples SET state = 'set_aside', cycle = NULL, note = ? WHERE id = ?", (why, number)
        )

    def retake(self, source: str | None) -> int:
        """Take up what was set aside of one file, by its path or its name, or all; how many samples that are."""
        files = self._database.execute(
            "SELECT id, path FROM sources WHERE id IN (SELECT source FROM samples WHERE state = 'set_aside')"
        ).fetchall()
        taken = 0
        for number, path in files:
            file = Path(os.fsdecode(path))
            if source is None or source in {storable_path(file), storable_path(Path(file.name))}:
                taken += self._database.execute(
                    "UPDATE samples SET state = 'new', tries = 0, note = NULL WHERE state = 'set_aside' AND source = ?",
                    (number,),
                ).rowcount
        return taken

    def unlearn(self, cycles: Iterable[int]) -> int:
        """Make new again what these cycles learned, inside a transaction; how many samples that are."""
        return sum(
            self._database.execute(
                "UPDATE samples SET state = 'new', cycle = NULL, tries = 0 WHERE state = 'learned' AND cycle = ?",
                (cycle,),
            ).rowcount
            for cycle in cycles
        )

    def settle(self, cycle: int, max_tries: int, *, learned: bool, count_try: bool, why: str = "") -> bool:
        """Give the samples of a cycle their final state, inside a transaction; false where that was done before.

        Those that validated are new again in any case, and are trained on in a later cycle. Not learned: they are new
        again, or set aside once they had ``max_tries`` tries, and ``why`` is noted.
        """
        outcome = "learned" if learned else "returned"
        settled = self._database.execute(
            "UPDATE cycles SET outcome = ?, settled_at = ? WHERE cycle = ? AND outcome IS NULL", (outcome, now(), cycle)
        )
        if not settled.rowcount:
            return False
        if learned:
            self._database.execute(
                "UPDATE samples SET state = 'new', cycle = NULL WHERE state = 'assigned' AND cycle = ?1"
                " AND id IN (SELECT sample FROM examples WHERE cycle = ?1 AND validates)",
                (cycle,),
            )
            self._database.execute(
                "UPDATE samples SET state = 'learned' WHERE state = 'assigned' AND cycle = ?", (cycle,)
            )
        else:
            self._database.execute(
                "UPDATE samples SET tries = tries + ?1, cycle = NULL,"
                " state = CASE WHEN tries + ?1 >= ?2 THEN 'set_aside' ELSE 'new' END,"
                " note = CASE WHEN tries + ?1 >= ?2 THEN ?3 ELSE NULL END"
                " WHERE state = 'assigned' AND cycle = ?4",
                (
                    int(count_try),
                    max_tries,
                    f"{max_tries} cycles failed or were rejected, the last, {cycle}: {why}",
                    cycle,
                ),
            )
        self._database.execute("DELETE FROM examples WHERE cycle = ? AND origin = 'held_out'", (cycle,))
        return True

    def _hold_out(self, cycle: int, first: int, quota: Quota) -> None:
        """Choose what to judge by: the window of the epoch, which goes on at the other end, and what is sealed."""
        sealed, start = (round(place * POINTS) for place in (SEALED_SHARE, window_start(quota.epoch)))
        query = "SELECT * FROM samples WHERE state = 'held_out' AND point BETWEEN ? AND ? ORDER BY point LIMIT ?"
        after = self._add(cycle, first, "held_out", query, (start, POINTS - 1, quota.held_out))
        left = quota.held_out - after
        before = self._add(cycle, first + after, "held_out", query, (sealed, start - 1, left))
        self._add(cycle, first + after + before, "held_out", query, (0, sealed - 1, quota.held_out))

    def _add(self, cycle: int, first: int, origin: Origin, query: str, values: tuple[int, ...]) -> int:
        """Write down what a query chooses, from position ``first`` on; how many those are."""
        return self._database.execute(
            f"INSERT INTO examples WITH chosen AS ({query})"  # noqa: S608 - queries of this module
            " SELECT ?, ? + row_number() OVER () - 1, ?, id, learn_from, segment, offset, length, 0 FROM chosen",
            (*values, cycle, first, origin),
        ).rowcount

    def _divide(self, cycle: int, found: int, share: float) -> None:
        """Draw those that validate: others in each cycle, and none that did before."""
        candidates = self._database.execute(
            "SELECT position, point FROM examples JOIN samples ON samples.id = sample"
            " WHERE examples.cycle = ? AND NOT EXISTS (SELECT 1 FROM examples AS earlier"
            " WHERE earlier.sample = samples.id AND earlier.validates)",
            (cycle,),
        )
        chosen = heapq.nsmallest(
            validation.how_many(found, share), candidates, key=lambda row: sha256(f"{cycle} {row[1]}".encode()).digest()
        )
        if len(chosen) >= validation.FEWEST:
            self._database.executemany(
                "UPDATE examples SET validates = 1 WHERE cycle = ? AND position = ?",
                [(cycle, position) for position, _ in chosen],
            )

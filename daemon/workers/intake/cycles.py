"""Which conversations a cycle gets, and what becomes of them when it ends. Every step may be repeated.

`assign` picks everything a cycle needs in one transaction and writes down the choice; the snapshot is made from that,
so one that a crash prevented comes out the same. `settle` gives the conversations their final state, once.
"""

import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from daemon.settings.sections import ReplayStrategy
from daemon.workers.intake.ledger import now
from daemon.workers.intake.replay import sample
from engine.data.segments import Location
from engine.data.snapshot import Origin
from engine.data.storable import storable_path


@dataclass(frozen=True, slots=True)
class Choice:
    """One line of the choice: a conversation, where its text lies, and what it is there for."""

    origin: Origin
    conversation: int
    learn_from: int
    location: Location


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a cycle asks for."""

    limit: int
    minimum: int
    replay_share: float
    replay_strategy: ReplayStrategy
    held_out: int


class Cycles:
    """The tables of cycles and of what they were given."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def is_assigned(self, cycle: int) -> bool:
        """Whether the choice for this cycle was made."""
        return self._database.execute("SELECT 1 FROM cycles WHERE cycle = ?", (cycle,)).fetchone() is not None

    def assign(self, cycle: int, wanted: Wanted) -> int:
        """Choose for a cycle, inside a transaction; how many new conversations there are.

        Fewer than the minimum stay as they are and nothing is written.
        """
        new = self._choose(
            "SELECT id, learn_from, segment, offset, length FROM conversations WHERE state = 'new' ORDER BY id LIMIT ?",
            wanted.limit,
            origin="new",
        )
        if len(new) < wanted.minimum:
            return len(new)
        held_out = self._choose(
            "SELECT id, learn_from, segment, offset, length FROM conversations WHERE state = 'held_out'"
            " ORDER BY point LIMIT ?",
            wanted.held_out,
            origin="held_out",
        )
        number = round(len(new) * wanted.replay_share / (1 - wanted.replay_share))
        replay = [
            Choice("replay", conversation, learn_from, Location(*location))
            for conversation, learn_from, *location in sample(self._database, number, cycle, wanted.replay_strategy)
        ]
        self._database.execute("INSERT INTO cycles (cycle, assigned_at) VALUES (?, ?)", (cycle, now()))
        self._database.executemany(
            "INSERT INTO examples VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (cycle, position, choice.origin, choice.conversation, choice.learn_from, *_fields(choice.location))
                for position, choice in enumerate([*new, *replay, *held_out])
            ],
        )
        self._database.executemany(
            "UPDATE conversations SET state = 'assigned', cycle = ? WHERE id = ?",
            [(cycle, choice.conversation) for choice in new],
        )
        return len(new)

    def choices(self, cycle: int) -> list[Choice]:
        """What was chosen for a cycle, in the order chosen."""
        rows = self._database.execute(
            "SELECT origin, conversation, learn_from, segment, offset, length FROM examples"
            " WHERE cycle = ? ORDER BY position",
            (cycle,),
        )
        return [
            Choice(origin, conversation, learn_from, Location(*location))
            for origin, conversation, learn_from, *location in rows
        ]

    def describe(self, conversation: int) -> str:
        """Where a conversation was read: path and line."""
        path, line = self._database.execute(
            "SELECT sources.path, conversations.line FROM conversations JOIN sources ON sources.id = source"
            " WHERE conversations.id = ?",
            (conversation,),
        ).fetchone()
        return f"{storable_path(Path(os.fsdecode(path)))}:{line}"

    def record_snapshot(self, cycle: int, sha256: str) -> None:
        """The snapshot is on disk."""
        self._database.execute("UPDATE cycles SET sha256 = ? WHERE cycle = ?", (sha256, cycle))

    def set_aside(self, conversation: int) -> None:
        """Take a conversation whose text is damaged out of the queue."""
        self._database.execute(
            "UPDATE conversations SET state = 'set_aside', cycle = NULL WHERE id = ?", (conversation,)
        )

    def settle(self, cycle: int, max_tries: int, *, learned: bool, count_try: bool) -> bool:
        """Give the conversations of a cycle their final state, inside a transaction; false where that was done before.

        Not learned: they are new again, or set aside once they had ``max_tries`` tries.
        """
        outcome = "learned" if learned else "returned"
        settled = self._database.execute(
            "UPDATE cycles SET outcome = ?, settled_at = ? WHERE cycle = ? AND outcome IS NULL", (outcome, now(), cycle)
        )
        if not settled.rowcount:
            return False
        if learned:
            self._database.execute(
                "UPDATE conversations SET state = 'learned' WHERE state = 'assigned' AND cycle = ?", (cycle,)
            )
        else:
            self._database.execute(
                "UPDATE conversations SET tries = tries + ?, cycle = NULL,"
                " state = CASE WHEN tries + ? >= ? THEN 'set_aside' ELSE 'new' END"
                " WHERE state = 'assigned' AND cycle = ?",
                (int(count_try), int(count_try), max_tries, cycle),
            )
        self._database.execute("DELETE FROM examples WHERE cycle = ? AND origin = 'held_out'", (cycle,))
        return True

    def _choose(self, query: str, limit: int, origin: Origin) -> list[Choice]:
        return [
            Choice(origin, conversation, learn_from, Location(*location))
            for conversation, learn_from, *location in self._database.execute(query, (limit,))
        ]


def _fields(location: Location) -> tuple[int, int, int]:
    return location.segment, location.offset, location.length

"""Taking samples out of the ledger, so that not even free pages of the database hold anything about them."""

import json
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from daemon.workers.forgotten import Forgotten
from daemon.workers.intake.ledger.catalog import Entry
from daemon.workers.intake.ledger.database import now
from daemon.workers.intake.ledger.quarantine import Quarantine
from engine.data.segments import Location

Cycles = dict[int, bool]
"""Numbers of cycles, each with whether it trained on what is meant, or only validated or judged by it."""


@dataclass(frozen=True, slots=True)
class Carried:
    """What a forgetting took out.

    Attributes:
        cycles: those that had any of the samples, each with whether it trained on one.
        was_held_out: whether any was held out; for which settled cycles is not known.
        sources: the files that they were read from.
    """

    samples: int
    was_held_out: bool
    cycles: Cycles
    sources: tuple[Path, ...]


class Forgettings:
    """The table of forgettings, each of which is carried out once. Calls that write belong inside a transaction."""

    def __init__(self, database: sqlite3.Connection, forgotten: Forgotten, quarantine: Quarantine) -> None:
        self._database = database
        self._forgotten = forgotten
        self._quarantine = quarantine

    def carried_out(self, forgetting: int) -> Carried | None:
        """What this forgetting took out; null where it was not carried out yet."""
        row = self._database.execute(
            "SELECT samples, was_held_out, cycles, sources FROM forgettings WHERE forgetting = ?", (forgetting,)
        ).fetchone()
        if row is None:
            return None
        samples, was_held_out, cycles, sources = row
        paths = tuple(Path(os.fsdecode(bytes.fromhex(path))) for path in json.loads(sources))
        return Carried(samples, bool(was_held_out), dict(json.loads(cycles)), paths)

    def carry_out(
        self, forgetting: int, entries: Sequence[Entry], named: frozenset[int], in_snapshots: Callable[[], Cycles]
    ) -> Carried:
        """Take samples out, and what was refused of their files; ``named`` are forgotten as wholes, by their numbers.

        Their hashes are kept, and what begins as they do is not learned again. ``in_snapshots`` says, once they are,
        which snapshots hold any of it.
        """
        self._database.execute("PRAGMA secure_delete = ON")
        # For this transaction only: reading files would pay for it with every sample.
        self._database.execute("CREATE INDEX aliases_by_sample ON aliases (sample)")
        for entry in entries:
            aliases = self._database.execute("SELECT identity FROM aliases WHERE sample = ?", (entry.number,))
            self._forgotten.add([identity.hex() for (identity,) in aliases], whole=False)
            self._forgotten.add([entry.identity], whole=entry.number in named)
        numbers = [(entry.number,) for entry in entries]
        cycles = self._cycles_with(numbers)
        for cycle, trained in in_snapshots().items():
            cycles[cycle] = trained or cycles.get(cycle, False)
        for table, column in (("examples", "sample"), ("aliases", "sample"), ("samples", "id")):
            self._database.executemany(f"DELETE FROM {table} WHERE {column} = ?", numbers)  # noqa: S608 - constants
        self._database.execute("DROP INDEX aliases_by_sample")
        sources = tuple(dict.fromkeys(entry.source for entry in entries))
        for source in sources:
            self.clear_refusals(source)
        was_held_out = any(entry.state == "held_out" for entry in entries)
        self._database.execute(
            "INSERT INTO forgettings VALUES (?, ?, ?, ?, ?, ?)",
            (
                forgetting,
                now(),
                len(entries),
                int(was_held_out),
                json.dumps(sorted(cycles.items())),
                json.dumps([os.fsencode(source).hex() for source in sources]),
            ),
        )
        return Carried(len(entries), was_held_out, cycles, sources)

    def _cycles_with(self, numbers: Sequence[tuple[int]]) -> Cycles:
        cycles: Cycles = {}
        query = (
            "SELECT cycle, max(origin <> 'held_out' AND NOT validates) FROM examples WHERE sample = ? GROUP BY cycle"
        )
        for number in numbers:
            for cycle, trained in self._database.execute(query, number):
                cycles[cycle] = bool(trained) or cycles.get(cycle, False)
        return cycles

    def clear_refusals(self, source: Path) -> None:
        """Drop what was refused of a file, with its copies, which may hold more than what was refused."""
        found = self._database.execute("SELECT id FROM sources WHERE path = ?", (os.fsencode(source),)).fetchone()
        if found:
            self._quarantine.clear(found[0])

    def kept(self) -> Iterator[Location]:
        """Where every text lies that the ledger still knows, in the order of the segments."""
        rows = self._database.execute(
            "SELECT segment, offset, length FROM samples UNION SELECT segment, offset, length FROM examples"
            " ORDER BY segment, offset"
        )
        for row in rows:
            yield Location(*row)

    def compact(self) -> None:
        """Rewrite the database without its free pages, and empty its log. Outside of a transaction."""
        self._database.execute("VACUUM")
        self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._database.execute("PRAGMA secure_delete = OFF")

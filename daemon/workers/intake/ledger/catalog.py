"""The ledger as it is searched: where each sample came from, its state, and the cycles that it was in."""

import itertools
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from daemon.workers.intake.ledger.samples import State
from engine.data.digest import identities_from
from engine.data.samples import Kind
from engine.data.segments import Location
from engine.data.storable import storable_path

_COLUMNS = (
    "samples.id, identity, kind, state, path, samples.line, added_at, samples.cycle, note, samples.turns,"
    " segment, samples.offset, length"
)
_SELECT = f"SELECT {_COLUMNS} FROM samples JOIN sources ON sources.id = source"  # noqa: S608 - a constant


@dataclass(frozen=True, slots=True)
class Entry:
    """A sample as the ledger has it, without its text."""

    number: int
    identity: str
    kind: Kind
    state: State
    source: Path
    line: int
    added_at: str
    cycle: int | None
    note: str | None
    turns: int
    location: Location


@dataclass(frozen=True, slots=True)
class Part:
    """What a sample was in a cycle: ``new``, ``replay`` or ``held_out``; ``outcome`` is null until it is settled."""

    cycle: int
    origin: str
    validates: bool
    outcome: str | None


class Catalog:
    """Reads the tables, by any connection."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def newest(
        self, limit: int, source: str | None = None, kind: str | None = None, state: str | None = None
    ) -> list[Entry]:
        """Samples, newest first: those of one file, by its path or its name, of one kind, in one state."""
        numbers = None if source is None else self.sources_called(source)
        wanted = {"kind = ?": kind, "state = ?": state}
        conditions = [condition for condition, value in wanted.items() if value is not None]
        values: list[str | int] = [value for value in wanted.values() if value is not None]
        if numbers is not None:
            conditions.append(f"source IN ({', '.join('?' * len(numbers))})")
            values += numbers
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        return self._entries(f"{_SELECT}{where} ORDER BY samples.id DESC LIMIT ?", *values, limit)

    def called(self, prefix: str) -> list[Entry]:
        """The samples whose ID begins with these hexadecimal digits, or that an earlier form of was called so."""
        if (between := identities_from(prefix)) is None:
            return []
        query = "samples.id IN (SELECT sample FROM aliases WHERE identity BETWEEN ? AND ?)"
        found = self._entries(f"{_SELECT} WHERE {query} ORDER BY samples.id", *between)
        return [entry for entry in found if entry.identity.startswith(prefix)] or found

    def exactly(self, identity: str) -> list[Entry]:
        """The sample with exactly this identity, if there is one."""
        return [entry for entry in self.called(identity) if entry.identity == identity]

    def of_sources(self, numbers: list[int]) -> list[Entry]:
        """Every sample that was read first from one of these files."""
        marks = ", ".join("?" * len(numbers))
        return self._entries(f"{_SELECT} WHERE source IN ({marks})", *numbers)

    def at(self, path: Path, lines: Iterable[int]) -> list[Entry]:
        """Every sample that was read first from these lines of a file."""
        wanted = "samples.line IN (SELECT value FROM json_each(?))"
        return self._entries(f"{_SELECT} WHERE path = ? AND {wanted}", os.fsencode(path), json.dumps(sorted(lines)))

    def below(self, folder: Path) -> list[Entry]:
        """Every sample that was read first from a file in a folder."""
        return self.of_sources([number for number, path in self._sources() if folder in path.parents])

    def of_kind(self, kind: Kind) -> list[Entry]:
        """Every sample of a kind."""
        return self._entries(f"{_SELECT} WHERE kind = ?", kind)

    def longer_than(self, turns: int) -> list[Entry]:
        """Every dialogue of more turns."""
        return self._entries(f"{_SELECT} WHERE kind = 'dialogue' AND samples.turns > ?", turns)

    def sources_called(self, name: str) -> list[int]:
        """The numbers of the files with this path or name."""
        return [number for number, path in self._sources() if is_called(path, name)]

    def paths_called(self, name: str) -> list[Path]:
        """The files with this path or name."""
        return [path for _, path in self._sources() if is_called(path, name)]

    def all(self) -> Iterator[Entry]:
        """Every sample, in the order in which their texts lie on disk."""
        for row in self._database.execute(f"{_SELECT} ORDER BY segment, samples.offset"):
            yield _entry(row)

    def parts(self, number: int) -> list[Part]:
        """The cycles that a sample was in, by its number. What was held out for a settled cycle is not known."""
        rows = self._database.execute(
            "SELECT examples.cycle, origin, validates, outcome FROM examples JOIN cycles USING (cycle)"
            " WHERE sample = ? ORDER BY examples.cycle",
            (number,),
        )
        return [Part(cycle, origin, bool(validates), outcome) for cycle, origin, validates, outcome in rows]

    def refused(self, limit: int, source: str | None = None) -> list[tuple[str, int, str, str]]:
        """File, line, time and reason of what was refused, newest first."""
        rows = self._database.execute("SELECT file, line, at, reason FROM refusals ORDER BY id DESC")
        found = (row for row in rows if source is None or is_called(Path(row[0]), source))
        return list(itertools.islice(found, limit))

    def _sources(self) -> list[tuple[int, Path]]:
        rows = self._database.execute("SELECT id, path FROM sources ORDER BY id")
        return [(number, Path(os.fsdecode(path))) for number, path in rows]

    def _entries(self, query: str, *values: str | int | bytes) -> list[Entry]:
        return [_entry(row) for row in self._database.execute(query, values)]


def is_called(file: Path, name: str) -> bool:
    """Whether a person means this file by a path or a name."""
    return name in {storable_path(file), storable_path(Path(file.name))}


_Row = tuple[int, bytes, Kind, State, bytes, int, str, int | None, str | None, int, int, int, int]


def _entry(row: _Row) -> Entry:
    number, identity, kind, state, path, line, added_at, cycle, note, turns, *location = row
    source = Path(os.fsdecode(path))
    place = Location(*location)
    return Entry(number, identity.hex(), kind, state, source, line, added_at, cycle, note, turns, place)

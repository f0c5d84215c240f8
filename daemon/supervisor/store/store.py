"""``thord.db``: cycles, versions and events, written by the supervisor alone, in a thread of its own.

Every method that changes something is one transaction and appends the event that says so. The loop is never blocked,
and what was written is safe against a power cut once the method returns.
"""

import asyncio
import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pydantic import JsonValue

from daemon import log
from daemon.cycle import FINAL, CycleEvent, CycleState, next_state
from daemon.supervisor.learning.cycles_on_disk import CyclesOnDisk
from daemon.supervisor.store.database import Database, StoreDamagedError, StoreUnavailableError, to_row
from daemon.supervisor.store.records import (
    Cycle,
    CycleRequest,
    Event,
    Swap,
    Version,
    VersionState,
    utc_now,
    version_name,
)

_logger = log.get(__name__)
_SWAP = "swap"

__all__ = [
    "CycleUnderWayError",
    "NoSuchRecordError",
    "PurgedError",
    "Store",
    "StoreDamagedError",
    "StoreUnavailableError",
]

CycleField = int | str | bool | None | Mapping[str, JsonValue] | Mapping[str, float]
"""A value for one column of a cycle."""


_RESERVED_VERSION = "reserved_version"
"""Under this key of ``meta`` stands the last number that was given to an import."""


_LOST = "thord.db did not know it: it was restored from a copy, or begun anew"


class NoSuchRecordError(LookupError):
    """There is no such cycle or version."""


class PurgedError(Exception):
    """The weights of the version were removed; its record stays."""

    def __init__(self, version: Version) -> None:
        super().__init__(
            f"the weights of version {version.number:06d} were removed at {version.purged_at}: {version.purged_why}; "
            "its record stays"
        )


class CycleUnderWayError(Exception):
    """Another cycle is under way; cycles run one at a time."""

    def __init__(self, cycle: int) -> None:
        super().__init__(f"cycle {cycle} is under way; wait for it or cancel it")
        self.cycle = cycle


class Store:
    """The one writer of ``thord.db``. Make it with `open`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._loop = asyncio.get_running_loop()
        self._said: list[tuple[str, dict[str, JsonValue]]] = []
        self._news = asyncio.Event()
        self._last_event = 0

    @classmethod
    async def open(cls, file: Path, backups: Path) -> "Store":
        """Open or create the database, check it, and bring it to the newest schema.

        Raises:
            StoreDamagedError: it is damaged, or from a newer thord.
            StoreUnavailableError: it cannot be opened or written now.
        """
        return cls(await Database.open(file, backups))

    async def close(self) -> None:
        """Finish what was begun and close the database."""
        await self._database.close()

    # Cycles ------------------------------------------------------------------------------------------------------

    async def add_cycle(self, reason: str, request: CycleRequest, noting: tuple[str, str] | None = None) -> Cycle:
        """Queue a cycle, and keep a single value with it.

        Raises:
            CycleUnderWayError: one is not finished yet.
            StoreUnavailableError: nothing was written.
        """

        def add() -> Cycle:
            with self._transaction():
                under_way = self._database.select(Cycle, "SELECT * FROM cycles WHERE ended_at IS NULL")
                if under_way:
                    raise CycleUnderWayError(under_way[0].id)
                draft = Cycle(id=0, state=CycleState.QUEUED, reason=reason, request=request, created_at=utc_now())
                row = to_row(draft)
                del row["id"]
                number = self._database.insert("cycles", row)
                self._append("cycle.queued", {"cycle": number, "reason": reason})
                if noting is not None:
                    self._set_meta(*noting)
                return draft.model_copy(update={"id": number})

        return await self._database.run(add)

    async def adopt_cycles(self, found: CyclesOnDisk) -> None:
        """Give no number again that a cycle had which is not known here, and have what such a one holds given back."""

        def adopt() -> None:
            last = int(self._database.scalar("SELECT seq FROM sqlite_sequence WHERE name = 'cycles'") or 0)
            unknown = [number for number in found.unsettled if not self._has_cycle(number)]
            if last >= found.highest and not unknown:
                return
            with self._transaction():
                for number in unknown:
                    self._database.put("cycles", "id", _lost_cycle(number))
                    self._append("cycle.failed", {"cycle": number, "outcome": _LOST})
                self._database.execute("DELETE FROM sqlite_sequence WHERE name = 'cycles'")
                self._database.execute("INSERT INTO sqlite_sequence VALUES ('cycles', ?)", max(last, found.highest))

        await self._database.run(adopt)

    async def transition(
        self,
        number: int,
        event: CycleEvent,
        *,
        candidate: Version | None = None,
        verdict: tuple[VersionState, str] | None = None,
        **fields: CycleField,
    ) -> Cycle:
        """Move a cycle along its table, with new values for its columns, and append the event: one transaction.

        Args:
            number: the cycle.
            event: what happened to it.
            candidate: the version it published, recorded with it.
            verdict: the new state of its version, and why.
            fields: columns to set.

        Raises:
            ImpossibleTransitionError: the table has no such line.
            StoreUnavailableError: nothing was written.
        """

        def move() -> Cycle:
            with self._transaction():
                cycle = self._move(number, event, fields)
                if candidate is not None:
                    self._database.put("versions", "number", candidate)
                if verdict is not None and cycle.version is not None:
                    self._judge(cycle.version, *verdict)
                return cycle

        return await self._database.run(move)

    async def update(self, number: int, **fields: CycleField) -> Cycle:
        """Set columns of a cycle that stays in its state.

        Raises:
            StoreUnavailableError: nothing was written.
        """

        def set_columns() -> Cycle:
            with self._transaction():
                cycle = _with(self._cycle(number), fields)
                self._database.put("cycles", "id", cycle)
                return cycle

        return await self._database.run(set_columns)

    async def begin_attempt(self, number: int, why: str) -> Cycle:
        """Count one more attempt at a cycle whose last one was cut short."""

        def count() -> Cycle:
            with self._transaction():
                cycle = self._cycle(number)
                more = {"attempt": cycle.attempt + 1, "attempts_without_progress": cycle.attempts_without_progress + 1}
                cycle = _with(cycle, more)
                self._database.put("cycles", "id", cycle)
                said: dict[str, JsonValue] = {"cycle": number, "state": cycle.state.value, "attempt": cycle.attempt}
                self._append("cycle.resumed", {**said, "why": why})
                return cycle

        return await self._database.run(count)

    async def cycle(self, number: int) -> Cycle:
        """One cycle.

        Raises:
            NoSuchRecordError: no record has that number.
        """
        return await self._database.run(lambda: self._cycle(number))

    async def cycles(self, limit: int) -> list[Cycle]:
        """The newest cycles, newest first."""
        return await self._database.run(
            lambda: self._database.select(Cycle, "SELECT * FROM cycles ORDER BY id DESC LIMIT ?", limit)
        )

    async def ended_cycles(self, numbers: Sequence[int]) -> list[Cycle]:
        """Those of these cycles that have ended."""
        query = "SELECT * FROM cycles WHERE id IN (SELECT value FROM json_each(?)) AND ended_at IS NOT NULL"
        return await self._database.run(lambda: self._database.select(Cycle, query, json.dumps(list(numbers))))

    async def unfinished_cycle(self) -> Cycle | None:
        """The cycle under way."""
        found = await self._database.run(
            lambda: self._database.select(Cycle, "SELECT * FROM cycles WHERE ended_at IS NULL")
        )
        return found[0] if found else None

    async def unsettled_cycles(self) -> list[Cycle]:
        """Finished cycles whose conversations the intake has not settled yet, oldest first."""
        query = "SELECT * FROM cycles WHERE settled = 0 AND ended_at IS NOT NULL ORDER BY id"
        return await self._database.run(lambda: self._database.select(Cycle, query))

    # Versions ----------------------------------------------------------------------------------------------------

    async def version(self, number: int) -> Version:
        """One version.

        Raises:
            NoSuchRecordError: no record has that number.
        """
        return await self._database.run(lambda: self._version(number))

    async def versions(self) -> list[Version]:
        """Every version, newest first."""
        return await self._database.run(
            lambda: self._database.select(Version, "SELECT * FROM versions ORDER BY number DESC")
        )

    async def adopt_version(self, version: Version) -> bool:
        """Record a version found on disk that the store does not know; whether it was new."""

        def adopt() -> bool:
            with self._transaction():
                if self._database.select(Version, "SELECT * FROM versions WHERE number = ?", version.number):
                    return False
                self._database.put("versions", "number", version)
                self._append("version.adopted", {"version": version_name(version.number)})
                return True

        return await self._database.run(adopt)

    async def judge_version(self, number: int, state: VersionState, note: str) -> None:
        """Say what a version is worth, and why."""

        def judge() -> None:
            with self._transaction():
                self._judge(number, state, note)

        await self._database.run(judge)

    async def whole_version(self, number: int) -> Version:
        """One version that has its weights.

        Raises:
            NoSuchRecordError: no record has that number.
            PurgedError: its weights are gone.
        """
        version = await self.version(number)
        if version.is_purged:
            raise PurgedError(version)
        return version

    async def pin_version(self, number: int, *, pinned: bool) -> Version:
        """Have a version keep its weights whatever its age, or no longer.

        Raises:
            NoSuchRecordError: no record has that number.
            PurgedError: its weights are gone.
        """

        def pin() -> Version:
            with self._transaction():
                version = self._version(number)
                if version.is_purged:
                    raise PurgedError(version)
                if version.pinned is not pinned:
                    version = version.model_copy(update={"pinned": pinned})
                    self._database.put("versions", "number", version)
                    self._append("version.pinned" if pinned else "version.unpinned", {"version": version_name(number)})
                return version

        return await self._database.run(pin)

    async def purge_version(self, number: int, why: str) -> None:
        """Write down that the weights of a version go."""

        def purge() -> None:
            with self._transaction():
                version = self._version(number)
                if not version.is_purged:
                    version = version.model_copy(update={"purged_at": utc_now(), "purged_why": why})
                    self._database.put("versions", "number", version)
                    self._append("version.purged", {"version": version_name(number), "why": why})

        await self._database.run(purge)

    async def add_metrics(self, number: int, metrics: Mapping[str, float]) -> None:
        """Add what an evaluation found to the metrics of a version."""

        def add() -> None:
            with self._transaction():
                version = self._version(number)
                both = {**version.metrics, **metrics}
                self._database.put("versions", "number", version.model_copy(update={"metrics": both}))

        await self._database.run(add)

    async def prove_version(self, number: int) -> None:
        """Note that a server was seen to serve this version."""

        def prove() -> None:
            with self._transaction():
                self._database.execute("UPDATE versions SET proven = 1 WHERE number = ? AND proven = 0", number)

        await self._database.run(prove)

    async def next_version(self, highest_on_disk: int) -> int:
        """A number no version, no cycle and no import has used."""
        return await self._database.run(lambda: self._next_version(highest_on_disk))

    async def reserve_version(self, highest_on_disk: int) -> int:
        """A number that nobody else is given from now on.

        Raises:
            CycleUnderWayError: a cycle may be about to take the same.
        """

        def reserve() -> int:
            with self._transaction():
                running = self._database.scalar("SELECT id FROM cycles WHERE ended_at IS NULL")
                if running is not None:
                    raise CycleUnderWayError(int(running))
                number = self._next_version(highest_on_disk)
                self._set_meta(_RESERVED_VERSION, str(number))
                return number

        return await self._database.run(reserve)

    async def release_version(self, number: int) -> None:
        """Give a reserved number back: nothing was published under it. A later one that is taken already stays."""

        def release() -> None:
            with self._transaction():
                if self._database.scalar("SELECT value FROM meta WHERE key = ?", _RESERVED_VERSION) == str(number):
                    self._set_meta(_RESERVED_VERSION, str(number - 1))

        await self._database.run(release)

    # The swap ----------------------------------------------------------------------------------------------------

    async def begin_swap(self, swap: Swap) -> None:
        """Write down a promotion that is about to happen; the cycle it belongs to becomes ``promoting``.

        Repeating it changes nothing.

        Raises:
            StoreUnavailableError: nothing was written.
        """

        def begin() -> None:
            with self._transaction():
                if swap.cycle is not None and self._cycle(swap.cycle).state is CycleState.EVALUATING:
                    self._move(swap.cycle, CycleEvent.PASSED, {})
                self._set_meta(_SWAP, swap.model_dump_json())

        await self._database.run(begin)

    async def finish_swap(self, swap: Swap) -> None:
        """Write down that the version serves; the cycle it belongs to becomes ``promoted``. Repeating changes nothing.

        Raises:
            StoreUnavailableError: nothing was written.
        """

        def finish() -> None:
            with self._transaction():
                if swap.cycle is not None and self._cycle(swap.cycle).state is CycleState.PROMOTING:
                    self._move(swap.cycle, CycleEvent.COMMITTED, {"outcome": f"version {swap.version:06d} serves"})
                self._database.execute("DELETE FROM meta WHERE key = ?", _SWAP)
                if swap.version == swap.previous:
                    return
                self._database.execute(
                    "UPDATE versions SET previous = iif(?, previous, ?) WHERE number = ?",
                    swap.rollback,
                    swap.previous,
                    swap.version,
                )
                version, previous = version_name(swap.version), version_name(swap.previous)
                kind = "version.rolled_back" if swap.rollback else "version.promoted"
                self._append(kind, {"version": version, "previous": previous, "by": swap.by})

        await self._database.run(finish)

    async def abandon_swap(self) -> None:
        """Forget a promotion that did not reach its commit point."""

        def abandon() -> None:
            with self._transaction():
                self._database.execute("DELETE FROM meta WHERE key = ?", _SWAP)

        await self._database.run(abandon)

    async def swap(self) -> Swap | None:
        """The promotion that was under way when the supervisor last ended."""
        written = await self.meta(_SWAP)
        return None if written is None else Swap.model_validate_json(written)

    # Events and odds -----------------------------------------------------------------------------------------------

    async def note(self, kind: str, data: dict[str, JsonValue], noting: tuple[str, str] | None = None) -> None:
        """Append an event that belongs to no record, and keep a single value with it."""

        def append() -> None:
            with self._transaction():
                self._append(kind, data)
                if noting is not None:
                    self._set_meta(*noting)

        await self._database.run(append)

    async def newest_events(self, limit: int) -> list[Event]:
        """The newest events, newest first."""
        query = "SELECT * FROM events ORDER BY id DESC LIMIT ?"
        return await self._database.run(lambda: self._database.select(Event, query, limit))

    async def events_after(self, number: int, limit: int) -> list[Event]:
        """Events after the one of that number, oldest first."""
        query = "SELECT * FROM events WHERE id > ? ORDER BY id LIMIT ?"
        return await self._database.run(lambda: self._database.select(Event, query, number, limit))

    async def news_after(self, number: int) -> None:
        """Wait until there may be an event after the one of that number."""
        while self._last_event <= number:
            await self._news.wait()

    async def meta(self, key: str) -> str | None:
        """A single value kept across restarts."""

        def read() -> str | None:
            value = self._database.scalar("SELECT value FROM meta WHERE key = ?", key)
            return None if value is None else str(value)

        return await self._database.run(read)

    async def set_meta(self, key: str, value: str) -> None:
        """Keep a single value across restarts."""

        def write() -> None:
            with self._transaction():
                self._set_meta(key, value)

        await self._database.run(write)

    # In the thread -------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._said.clear()
        with self._database.transaction():
            yield
        for kind, data in self._said:
            _logger.info(kind, **data)
        newest = int(self._database.scalar("SELECT seq FROM sqlite_sequence WHERE name = 'events'") or 0)
        self._loop.call_soon_threadsafe(self._announce, newest)

    def _announce(self, newest: int) -> None:
        self._last_event = newest
        self._news.set()
        self._news = asyncio.Event()

    def _move(self, number: int, event: CycleEvent, fields: Mapping[str, CycleField]) -> Cycle:
        before = self._cycle(number)
        state = next_state(before.state, event)
        derived: dict[str, CycleField] = {"state": state, "attempts_without_progress": 1}
        if before.state is CycleState.QUEUED:
            derived["started_at"] = utc_now()
        if state in FINAL:
            derived["ended_at"] = utc_now()
        cycle = _with(before, {**derived, **fields})
        self._database.put("cycles", "id", cycle)
        version = version_name(cycle.version)
        said = {"outcome": cycle.outcome, "version": version, "conversations": cycle.conversations}
        told = {name: value for name, value in said.items() if value is not None}
        self._append(f"cycle.{state}", {"cycle": number, **told})
        return cycle

    def _judge(self, number: int, state: VersionState, note: str) -> None:
        before = self._version(number)
        self._database.put("versions", "number", before.model_copy(update={"state": state, "note": note}))
        if before.state != state:
            self._append(f"version.{state}", {"version": version_name(number), "note": note})

    def _append(self, kind: str, data: dict[str, JsonValue]) -> None:
        self._database.insert("events", {"at": utc_now(), "type": kind, "data": json.dumps(data, ensure_ascii=False)})
        self._said.append((kind, data))

    def _next_version(self, highest_on_disk: int) -> int:
        used = (
            self._database.scalar("SELECT max(number) FROM versions"),
            self._database.scalar("SELECT max(version) FROM cycles"),
            self._database.scalar("SELECT value FROM meta WHERE key = ?", _RESERVED_VERSION),
        )
        return max(highest_on_disk, *(int(number or 0) for number in used)) + 1

    def _set_meta(self, key: str, value: str) -> None:
        self._database.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", key, value)

    def _cycle(self, number: int) -> Cycle:
        found = self._database.select(Cycle, "SELECT * FROM cycles WHERE id = ?", number)
        if not found:
            raise NoSuchRecordError(f"there is no cycle {number}")
        return found[0]

    def _has_cycle(self, number: int) -> bool:
        return self._database.scalar("SELECT id FROM cycles WHERE id = ?", number) is not None

    def _version(self, number: int) -> Version:
        found = self._database.select(Version, "SELECT * FROM versions WHERE number = ?", number)
        if not found:
            raise NoSuchRecordError(f"there is no version {number:06d}")
        return found[0]


def _lost_cycle(number: int) -> Cycle:
    now = utc_now()
    return Cycle(
        id=number, state=CycleState.FAILED, reason="unknown", outcome=_LOST, attempt=0, created_at=now, ended_at=now
    )


def _with(cycle: Cycle, fields: Mapping[str, CycleField]) -> Cycle:
    return Cycle.model_validate({**cycle.model_dump(), **fields})

"""The table of cycles: each is moved along the table in `daemon.cycle`, with new values for its columns."""

import json
from collections.abc import Mapping, Sequence

from pydantic import JsonValue

from daemon.clock import utc_now
from daemon.cycle import FINAL, CycleEvent, CycleState, next_state
from daemon.supervisor.store.cycles_on_disk import CyclesOnDisk
from daemon.supervisor.store.database import to_row
from daemon.supervisor.store.errors import CycleUnderWayError, NoSuchRecordError
from daemon.supervisor.store.records import Cycle, CycleRequest, Version, VersionState, name_or_null
from daemon.supervisor.store.version_store import VersionStore

CycleField = int | str | bool | None | Mapping[str, JsonValue] | Mapping[str, float]
"""A value for one column of a cycle."""

_LOST = "thord.db did not know it: it was restored from a copy, or begun anew"


class CycleStore(VersionStore):
    """Reads and writes the table ``cycles``."""

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
        version_above: int | None = None,
        **fields: CycleField,
    ) -> Cycle:
        """Move a cycle along its table, with new values for its columns, and append the event: one transaction.

        Args:
            number: the cycle.
            event: what happened to it.
            candidate: the version it published, recorded with it.
            verdict: the new state of its version, and why.
            version_above: give it a version number that is higher than this one, and that nobody else has.
            fields: columns to set.

        Raises:
            CycleTransitionError: the table has no such line.
            StoreUnavailableError: nothing was written.
        """

        def move() -> Cycle:
            with self._transaction():
                number_of = {} if version_above is None else {"version": self._next_version(version_above)}
                cycle = self._move(number, event, {**fields, **number_of})
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
        """Read one cycle.

        Raises:
            NoSuchRecordError: there is none of that number.
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
        """The cycle under way, or null."""
        found = await self._database.run(
            lambda: self._database.select(Cycle, "SELECT * FROM cycles WHERE ended_at IS NULL")
        )
        return found[0] if found else None

    async def unsettled_cycles(self) -> list[Cycle]:
        """Finished cycles whose conversations the intake has not settled yet, oldest first."""
        query = "SELECT * FROM cycles WHERE settled = 0 AND ended_at IS NOT NULL ORDER BY id"
        return await self._database.run(lambda: self._database.select(Cycle, query))

    # In the thread -----------------------------------------------------------------------------------------------

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
        version = name_or_null(cycle.version)
        said = {"outcome": cycle.outcome, "version": version, "conversations": cycle.conversations}
        told = {name: value for name, value in said.items() if value is not None}
        self._append(f"cycle.{state}", {"cycle": number, **told})
        return cycle

    def _cycle(self, number: int) -> Cycle:
        found = self._database.select(Cycle, "SELECT * FROM cycles WHERE id = ?", number)
        if not found:
            raise NoSuchRecordError(f"there is no cycle {number}")
        return found[0]

    def _has_cycle(self, number: int) -> bool:
        return self._database.scalar("SELECT id FROM cycles WHERE id = ?", number) is not None


def _lost_cycle(number: int) -> Cycle:
    now = utc_now()
    return Cycle(
        id=number, state=CycleState.FAILED, reason="unknown", outcome=_LOST, attempt=0, created_at=now, ended_at=now
    )


def _with(cycle: Cycle, fields: Mapping[str, CycleField]) -> Cycle:
    return Cycle.model_validate({**cycle.model_dump(), **fields})

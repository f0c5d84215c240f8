"""``thord.db``: cycles, jobs, versions and events, written by the supervisor alone, in a thread of its own.

Every method that changes something is one transaction and appends the event that says so. The loop is never blocked,
and what was written is safe against a power cut once the method returns.
"""

from control.paths import version_name
from daemon.cycle import CycleEvent, CycleState
from daemon.supervisor.store.attempt_store import AttemptStore
from daemon.supervisor.store.cycle_store import CycleField
from daemon.supervisor.store.database import StoreDamagedError, StoreUnavailableError
from daemon.supervisor.store.errors import CycleUnderWayError, NoSuchRecordError, PurgedError
from daemon.supervisor.store.records import Swap, name_or_null

_SWAP = "swap"
"""Under this key of ``meta`` stands the swap that is under way."""

__all__ = [
    "CycleField",
    "CycleUnderWayError",
    "NoSuchRecordError",
    "PurgedError",
    "Store",
    "StoreDamagedError",
    "StoreUnavailableError",
]


class Store(AttemptStore):
    """The one writer of ``thord.db``: all of its tables, and the swap, which concerns a cycle and a version at once."""

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
                    self._move(
                        swap.cycle, CycleEvent.COMMITTED, {"outcome": f"version {version_name(swap.version)} serves"}
                    )
                self._database.execute("DELETE FROM meta WHERE key = ?", _SWAP)
                if swap.version == swap.previous:
                    return
                self._database.execute(
                    "UPDATE versions SET previous = iif(?, previous, ?) WHERE number = ?",
                    swap.rollback,
                    swap.previous,
                    swap.version,
                )
                version, previous = version_name(swap.version), name_or_null(swap.previous)
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

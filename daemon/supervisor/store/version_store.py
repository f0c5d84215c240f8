"""The table of versions, and the numbers that new ones are given."""

from collections.abc import Mapping

from control.paths import version_name
from daemon.clock import utc_now
from daemon.supervisor.store.errors import CycleUnderWayError, NoSuchRecordError, PurgedError
from daemon.supervisor.store.event_store import EventStore
from daemon.supervisor.store.records import Version, VersionState

_RESERVED_VERSION = "reserved_version"
"""Under this key of ``meta`` stands the last number that was given to an import."""


class VersionStore(EventStore):
    """Reads and writes the table ``versions``."""

    async def version(self, number: int) -> Version:
        """Read one version.

        Raises:
            NoSuchRecordError: there is none of that number.
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
        """Read one version, which must have its weights.

        Raises:
            NoSuchRecordError: there is none of that number.
            PurgedError: its weights are gone.
        """
        version = await self.version(number)
        if version.is_purged:
            raise PurgedError(version)
        return version

    async def pin_version(self, number: int, *, pinned: bool) -> Version:
        """Have a version keep its weights whatever its age, or no longer.

        Raises:
            NoSuchRecordError: there is none of that number.
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

    # In the thread -----------------------------------------------------------------------------------------------

    def _judge(self, number: int, state: VersionState, note: str) -> None:
        before = self._version(number)
        self._database.put("versions", "number", before.model_copy(update={"state": state, "note": note}))
        if before.state != state:
            self._append(f"version.{state}", {"version": version_name(number), "note": note})

    def _next_version(self, highest_on_disk: int) -> int:
        used = (
            self._database.scalar("SELECT max(number) FROM versions"),
            self._database.scalar("SELECT max(version) FROM cycles"),
            self._database.scalar("SELECT max(version) FROM jobs"),
            self._database.scalar("SELECT value FROM meta WHERE key = ?", _RESERVED_VERSION),
        )
        return max(highest_on_disk, *(int(number or 0) for number in used)) + 1

    def _version(self, number: int) -> Version:
        found = self._database.select(Version, "SELECT * FROM versions WHERE number = ?", number)
        if not found:
            raise NoSuchRecordError(f"there is no version {version_name(number)}")
        return found[0]

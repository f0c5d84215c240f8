"""What the store has to say of a record that is asked for or changed."""

from control.paths import version_name
from daemon.supervisor.store.records import Version


class NoSuchRecordError(LookupError):
    """There is no such cycle or version."""


class PurgedError(Exception):
    """The weights of the version were removed; its record stays."""

    def __init__(self, version: Version) -> None:
        super().__init__(
            f"the weights of version {version_name(version.number)} were removed at {version.purged_at}: "
            f"{version.purged_why}; its record stays"
        )


class CycleUnderWayError(Exception):
    """Another cycle is under way; cycles run one at a time."""

    def __init__(self, cycle: int) -> None:
        super().__init__(f"cycle {cycle} is under way; wait for it or cancel it")
        self.cycle = cycle

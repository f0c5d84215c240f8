"""Which versions know what is forgotten, and which one does not: pure functions of the versions in the store."""

from collections.abc import Collection, Mapping, Sequence

from daemon.supervisor.forgetting.steps import WayBack
from daemon.supervisor.store.records import Version


def learned(versions: Sequence[Version], cycles: Collection[int]) -> set[int]:
    """The versions that were made in these cycles."""
    return {version.number for version in versions if version.cycle in cycles}


def way_back(versions: Sequence[Version], serving: int | None, knowing: Collection[int]) -> WayBack | None:
    """From the version in service to the nearest it was made from that does not know; null where it does not itself.

    One without weights, or that could not be served, is stepped over.
    """
    if serving not in knowing:
        return None
    by_number: Mapping[int, Version] = {version.number: version for version in versions}
    at, passed = serving, []
    while at is not None and at in by_number:
        version = by_number[at]
        if at not in knowing and not version.is_purged and version.state == "available":
            break
        passed.append(version)
        at = version.parent
    target = at if at in by_number else None
    cycles = tuple(sorted(version.cycle for version in passed if version.cycle is not None))
    return WayBack(version=target, left=tuple(sorted(knowing)), cycles=cycles)

"""What is there and what needs it, from the store, the promotion and the disk."""

import datetime
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from control.paths import Paths, version_name
from daemon.settings.sections import RetentionSettings
from daemon.supervisor.retention import disk
from daemon.supervisor.retention.plan import Kind, Policy, Thing
from daemon.supervisor.store.records import Cycle, Version

_METRIC = "bits_per_byte"
_GIGABYTE = 10**9


@dataclass(frozen=True)
class Known:
    """What the supervisor knows at one moment.

    Attributes:
        versions: every one that still has its weights.
        published: cycles of which there is or was a version.
        cycles: by number, those that have ended.
        busy: versions that serve, are in memory, or take part in a swap or a cycle under way, with what they do.
    """

    versions: Sequence[Version]
    published: frozenset[int]
    cycles: Mapping[int, Cycle]
    busy: Mapping[int, str]
    serving: int | None


def needed_versions(known: Known, rollbacks: int) -> dict[int, str]:
    """Versions that may never go, and what needs them. A version that no longer has weights needs nothing."""
    versions = {version.number: version for version in known.versions}
    needed: dict[int, str] = {}

    def need(number: int | None, why: str) -> None:
        if number in versions:
            needed.setdefault(number, why)

    for number, why in known.busy.items():
        need(number, why)
    back = known.serving
    for _ in range(rollbacks):
        back = versions[back].previous if back in versions else None
        need(back, "it served before: 'thorctl rollback' leads to it")
    for version in known.versions:
        if version.pinned:
            need(version.number, "it is pinned ('thorctl unpin' lets go of it)")
    need(max(versions, default=None), "it is the newest")
    fit = [version for version in known.versions if version.state == "available" and _METRIC in version.metrics]
    if fit:
        need(min(fit, key=lambda version: (version.metrics[_METRIC], version.number)).number, "it is the best so far")
    for number in list(needed):
        need(versions[number].parent, f"version {version_name(number)} was made from it")
    for version in sorted(known.versions, key=lambda version: version.number):
        need(version.base, f"version {version_name(version.number)} is an adapter for it")
    return needed


def things(paths: Paths, known: Known, rollbacks: int) -> list[Thing]:
    """Everything that has a size on disk. Blocking."""
    return [thing for thing in _all(paths, known, rollbacks) if thing.bytes]


def _all(paths: Paths, known: Known, rollbacks: int) -> Iterator[Thing]:
    needed = needed_versions(known, rollbacks)
    by_cycle = {version.cycle: needed[version.number] for version in known.versions if version.number in needed}
    for version in known.versions:
        kind: Kind = "version" if version.state == "available" else "rejected"
        yield _thing(paths, kind, version.number, version.created_at, needed.get(version.number, ""))
    for number in disk.numbers(paths.runs):
        if cycle := known.cycles.get(number):
            yield _thing(paths, "published run" if number in known.published else "run", number, cycle.ended_at)
            yield _thing(paths, "figures", number, cycle.ended_at)
    for number in disk.numbers(paths.snapshots):
        if cycle := known.cycles.get(number):
            why = f"its version is kept: {by_cycle[number]}" if number in by_cycle else ""
            yield _thing(paths, "snapshot", number, cycle.ended_at, why)


def _thing(paths: Paths, kind: Kind, number: int, at: str | None, needed: str = "") -> Thing:
    since = datetime.datetime.fromisoformat(at).timestamp() if at else 0.0
    return Thing(kind, number, disk.size(disk.parts(paths, kind, number)), since, needed)


def policy(settings: RetentionSettings, *, keep_epochs: bool, room_bytes: int = 0) -> Policy:
    """The policy that the settings describe.

    Args:
        settings: ``[retention]``.
        keep_epochs: ``training.keep_epochs``; who sets it wants checkpoints also of runs whose version is published.
        room_bytes: so many more are to be free.
    """
    return Policy(
        keep={
            "version": settings.keep_versions,
            "rejected": settings.keep_rejected,
            "run": settings.keep_runs,
            "published run": settings.keep_runs if keep_epochs else 0,
            "snapshot": settings.keep_snapshots,
            "figures": settings.keep_figures,
        },
        setting={
            "version": "retention.keep_versions",
            "rejected": "retention.keep_rejected",
            "run": "retention.keep_runs",
            "published run": "retention.keep_runs",
            "snapshot": "retention.keep_snapshots",
            "figures": "retention.keep_figures",
        },
        seconds=settings.keep_days * 86_400,
        max_bytes=None if settings.max_gigabytes is None else round(settings.max_gigabytes * _GIGABYTE),
        min_free_bytes=round(settings.min_free_gigabytes * _GIGABYTE) + room_bytes,
    )

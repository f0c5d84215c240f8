"""What this process may use of memory and processors: the machine's, or less where a container or a unit limits it.

Limits are those of control groups, version 2 (``memory.max``, ``cpu.max``) and 1 (``memory.limit_in_bytes``,
``cpu.cfs_quota_us``), of the group of this process and of all around it that can be seen; the least one counts.
"""

import functools
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

_UNLIMITED = 1 << 60
"""Version 1 says that there is no limit by a number near the largest one."""


@dataclass(frozen=True)
class Memory:
    """Bytes of main memory: all that there are for this process, and those that it could still take."""

    total: int
    available: int


@dataclass(frozen=True)
class Groups:
    """Folders of the control groups that limit a process, the innermost first."""

    memory: tuple[Path, ...]
    processor: tuple[Path, ...]


def memory(groups: Groups | None = None) -> Memory:
    """Memory that this process may use; without limits, the machine's."""
    machine = psutil.virtual_memory()
    total, available = machine.total, machine.available
    for folder in (groups or _own()).memory:
        limit = _number(folder / "memory.max") or _number(folder / "memory.limit_in_bytes")
        if not limit or limit >= min(machine.total, _UNLIMITED):
            continue
        used = _number(folder / "memory.current") or _number(folder / "memory.usage_in_bytes") or 0
        total = min(total, limit)
        available = min(available, max(0, limit - used + _reclaimable(folder)))
    return Memory(total, available)


def processors(groups: Groups | None = None) -> int:
    """Processors that this process may use at once: those it may run on, or a quota of time, rounded up."""
    allowed = len(os.sched_getaffinity(0))
    for folder in (groups or _own()).processor:
        quota = _quota(folder)
        if quota is not None:
            allowed = min(allowed, max(1, math.ceil(quota)))
    return allowed


def find(process: Path = Path("/proc/self")) -> Groups:
    """The groups of a process, by its folder in ``/proc``."""
    try:
        memberships = [line.split(":", 2) for line in (process / "cgroup").read_text().splitlines()]
        mounts = [line.split() for line in (process / "mountinfo").read_text().splitlines()]
    except OSError:
        return Groups((), ())
    found: dict[str, tuple[Path, ...]] = {"memory": (), "cpu": ()}
    for _, controllers, inside in memberships:
        for mount in mounts:
            kind, options = mount[mount.index("-") + 1], mount[-1].split(",")
            of_mount = found.keys() if kind == "cgroup2" and not controllers else set()
            if kind == "cgroup":
                of_mount = found.keys() & set(controllers.split(",")) & set(options)
            for name in of_mount:
                found[name] += tuple(_around(Path(mount[4]), mount[3], inside))
    return Groups(found["memory"], found["cpu"])


@functools.cache
def _own() -> Groups:
    return find()


def _around(mount: Path, root: str, inside: str) -> Iterator[Path]:
    """A group and those around it, below the mount point, which shows the groups below ``root``."""
    relative = os.path.relpath(inside, root)
    if relative.startswith(".."):
        relative = "."  # the group lies outside of what is mounted here, which is then the nearest there is
    folder = mount / relative
    yield folder
    while folder != mount:
        folder = folder.parent
        yield folder


def _number(file: Path) -> int | None:
    """The number in a file; null where there is none, or it says ``max``."""
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None


def _reclaimable(folder: Path) -> int:
    """Bytes of files that were read and not used lately: the kernel gives them up before anything fails."""
    try:
        lines = (folder / "memory.stat").read_text().splitlines()
    except OSError:
        return 0
    figures = {name: int(value) for name, _, value in (line.partition(" ") for line in lines) if value.isdigit()}
    return figures.get("total_inactive_file", figures.get("inactive_file", 0))


def _quota(folder: Path) -> float | None:
    """Processors' worth of time that a group may use; null without a limit."""
    try:
        quota, period = (folder / "cpu.max").read_text().split()
        return int(quota) / int(period)
    except (OSError, ValueError):
        pass
    of_version_1, period_1 = _number(folder / "cpu.cfs_quota_us"), _number(folder / "cpu.cfs_period_us")
    return of_version_1 / period_1 if of_version_1 and period_1 and of_version_1 > 0 else None

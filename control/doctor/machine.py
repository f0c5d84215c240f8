"""Checks of the machine: folders, disk, load, clock."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from typing import TYPE_CHECKING

from control.doctor.context import Finding
from control.paths import is_there
from control.scheduler_weight import can_be_raised

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from control.doctor.context import Context

_GIB = 1 << 30


def folders(context: Context) -> Iterator[Finding]:
    """Whether the folders can be written; the service's own user may differ from the one who asks."""
    paths = context.paths
    for name, folder in (("home", paths.state), ("logs", paths.logs), ("runtime", paths.run)):
        place = _nearest(folder)
        if not place.is_dir():
            yield Finding(name, "fail", f"{place} is in the way: it should be a folder", f"mv {place} {place}.old")
        elif context.status is None and not os.access(place, os.W_OK | os.X_OK):
            owner = _owner(place)
            yield Finding(
                name,
                "fail",
                f"{place} belongs to {owner} and may not be written by this user",
                f"sudo chown -R $USER {place}, or run as {owner}, or choose another --home",
            )
        elif not is_there(folder):
            yield Finding(name, "ok", f"{folder} will be made")
        elif name != "runtime" and os.statvfs(folder).f_flag & os.ST_RDONLY:
            yield Finding(name, "fail", f"{folder} is on a read-only file system", f"mount -o remount,rw {place}")
        else:
            yield Finding(name, "ok", str(folder))


def disk(context: Context) -> Iterator[Finding]:
    """Whether there is room, in bytes and in inodes."""
    place = _nearest(context.paths.state)
    usage, inodes = shutil.disk_usage(place), os.statvfs(place)
    free = f"{usage.free / _GIB:.1f} GiB free of {usage.total / _GIB:.0f} GiB at {place}"
    if usage.free < _GIB:
        yield Finding("disk", "fail", free, "make room; a version and its run need several times the model's size")
    elif usage.free < 10 * _GIB:
        yield Finding("disk", "warn", free, "make room before it runs out; cycles stop when it does")
    else:
        yield Finding("disk", "ok", free)
    if inodes.f_files and inodes.f_favail < 1000:
        yield Finding("disk", "fail", f"only {inodes.f_favail} inodes are free at {place}", "delete small files there")


def load(context: Context) -> Iterator[Finding]:
    """Whether the machine is busy, and whether a starved run could be given more weight."""
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    text = f"load {load:.1f} on {cores} processors"
    share = context.setting("training", "minimum_share")
    if load > 2 * cores:
        remedy = f"cycles take longer: a run gets {share} of a processor (training.minimum_share)"
        yield Finding("load", "warn", f"{text}: this machine is busy", remedy)
    else:
        yield Finding("load", "ok", text)
    if not can_be_raised():
        raising = "allow it niceness 0 (LimitNICE=+0 in a unit, RLIMIT_NICE)"
        yield Finding("load", "warn", "a run that other programs starve cannot be given more weight here", raising)


def clock(context: Context) -> Iterator[Finding]:
    """A clock that stands before what was written already makes times and schedules nonsense."""
    newest = 0.0
    with contextlib.suppress(OSError):
        newest = max((file.stat().st_mtime for file in context.paths.logs.glob("*.log")), default=0.0)
    ahead = newest - time.time()
    if ahead > 60:
        yield Finding(
            "clock",
            "warn",
            f"the logs were written {ahead / 60:.0f} minutes in the future",
            "set the clock: timedatectl set-ntp true",
        )


def _nearest(folder: Path) -> Path:
    """The folder, else the nearest one above it that is there."""
    while not is_there(folder) and folder != folder.parent:
        folder = folder.parent
    return folder


def _owner(path: Path) -> str:
    try:
        return path.owner()
    except KeyError:
        return f"user {path.stat().st_uid}"

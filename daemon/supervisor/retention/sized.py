"""A thing with the size that it has on disk."""

import datetime

from control.paths import Paths
from daemon.supervisor.retention import disk
from daemon.supervisor.retention.plan import Kind, Thing


def sized(
    paths: Paths, kind: Kind, number: int, at: str | None, needed: str = "", name: str = "", uploaded: str = ""
) -> Thing:
    """Fields as in `Thing`; ``at`` is when it came to be or ended, null for the beginning of time. Blocking."""
    return Thing(kind, number, disk.size(disk.parts(paths, kind, number, name)), moment(at), needed, name, uploaded)


def moment(at: str | None) -> float:
    """Seconds since 1970."""
    return datetime.datetime.fromisoformat(at).timestamp() if at else 0.0

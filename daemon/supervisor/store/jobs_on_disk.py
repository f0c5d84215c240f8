"""Jobs as they lie on disk, for a store that was restored from a copy, or begun anew."""

from control.paths import Paths

_PREFIX = "job-"


def highest(paths: Paths) -> int:
    """The highest number of a job that left a run or a snapshot; 0 where none did. Blocking."""
    names = [
        folder.name.removeprefix(_PREFIX)
        for root in (paths.runs, paths.snapshots)
        for folder in root.glob(f"{_PREFIX}*")
    ]
    return max((int(name) for name in names if name.isdecimal()), default=0)

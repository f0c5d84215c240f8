"""What a person should be warned of: a pure function of one sample."""

from daemon.workers.monitor.figures import Figures, Space

_GIB = 1 << 30
LEAST_SHARE = 0.05
ENOUGH = 10 * _GIB
"""Bytes free that raise no alarm, however small a share of the total they are."""


def alerts(figures: Figures) -> dict[str, str]:
    """A sentence for everything that is nearly used up, by name."""
    found = {}
    if _nearly_full(figures.memory):
        found["memory"] = f"memory is nearly full: {_left(figures.memory)}; a smaller training.batch_size needs less"
    if _nearly_full(figures.disk):
        found["disk"] = f"the disk of the state folder is nearly full: {_left(figures.disk)}; free some space"
    return found


def _nearly_full(space: Space) -> bool:
    return space.free < min(space.total * LEAST_SHARE, ENOUGH)


def _left(space: Space) -> str:
    return f"{space.free / _GIB:.1f} GiB of {space.total / _GIB:.1f} GiB are left"

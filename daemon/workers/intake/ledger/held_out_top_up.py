"""Enough held out to judge by, also of few conversations.

A share of all conversations is held out by the hash of their opening (`engine.data.held_out`). Of twenty that is two,
and no gate can decide on two. So while nothing has been learned yet, and fewer are held out than the gate needs, some
of the new ones are held out as well: those whose opening has the lowest hash, at most a quarter of them.

Their openings are written down, and whatever begins so later is held out too: no opening is on both sides.
"""

from collections import defaultdict

from daemon.workers.intake.ledger.ledger import Ledger
from daemon.workers.intake.ledger.samples import Samples
from engine.data.segments import DamagedSegmentError

_LARGEST_PART = 4
"""At most one in so many."""
_MOST_READ = 1000
"""Of more than that, the share by hash is enough."""


def top_up(ledger: Ledger, least: int) -> int:
    """Hold out more of the new conversations until ``least`` are, inside a transaction; how many were moved."""
    counts = ledger.counts()
    missing = least - counts.held_out
    if missing <= 0 or counts.learned or counts.assigned or counts.new > _MOST_READ:
        return 0
    moved = 0
    for group, numbers in sorted(_new_by_opening(ledger.samples).items()):
        if moved >= missing:
            break
        if moved + len(numbers) <= counts.new // _LARGEST_PART:
            ledger.samples.hold_out(group, numbers)
            moved += len(numbers)
    return moved


def _new_by_opening(samples: Samples) -> dict[str, list[int]]:
    """The new conversations of each opening; what is damaged on disk is found when a cycle takes it."""
    found: dict[str, list[int]] = defaultdict(list)
    for number, location in samples.new():
        try:
            found[samples.read(location).group].append(number)
        except DamagedSegmentError:
            continue
    return found

"""How much a run weighs beside the programs of others: a ladder, and the pure function that climbs it.

A run gives way to everybody, to the server first of all. Where programs that are not thord's leave it less than its
minimum share of a processor, it climbs to the weight that any program has; when they are done, it gives way again.

| since the last looks the run ...                                            | for so long      | then           |
|-----------------------------------------------------------------------------|------------------|----------------|
| had less than its share, waited for more, and others had more than thord    | 10 s, later 5 s  | one level up   |
| has others beside it that use less than its share                           | 20 s             | the lowest     |
| had more than three times its share                                         | 30 s             | one level down |
"""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Weight:
    """What the kernel is told; 0 is the weight of any program, 19 the smallest.

    Attributes:
        session: niceness of the whole session, by which Linux compares sessions where it groups them.
        thread: niceness of each thread, by which it compares threads where it does not.
    """

    session: int
    thread: int


LADDER = (Weight(19, 10), Weight(14, 7), Weight(9, 4), Weight(4, 2), Weight(0, 0))
"""Each level weighs about three times as much as the one before, by sessions, and twice as much by threads."""

_FIRST_STEP, _NEXT_STEP, _ALONE, _PLENTY = 10.0, 5.0, 20.0, 30.0
_BUSY_LOAD, _BUSY_LEVEL = 2.5, 3
"""A run and a server have two threads a processor at most: what is beyond that is others', for whom no run waits."""
_NOTICED = 0.1
"""A share that a run waits for and that slows it noticeably: even alone, threads wait for a moment now and then."""
_MUCH = 3.0
"""Times the minimum share: a level down costs as much, and leaves enough."""


@dataclass(frozen=True)
class Look:
    """What was seen in one stretch of time. Shares count processors: 1.0 is all of one.

    Attributes:
        seconds: how long it was.
        computed: the share that the run had.
        waited: the share that it waited for, of all its threads.
        others: the share of programs that are not thord's.
        rest: the share of the rest of thord, the server above all.
    """

    seconds: float
    computed: float
    waited: float
    others: float
    rest: float = 0.0


@dataclass(frozen=True)
class Standing:
    """Where a run is on the ladder, and for how many seconds each line of the table has held without a break."""

    level: int = 0
    starved: float = 0.0
    alone: float = 0.0
    plenty: float = 0.0

    @property
    def weight(self) -> Weight:
        """What the kernel is to be told."""
        return LADDER[self.level]

    @property
    def is_slowed(self) -> bool:
        """Other programs slow the run down, or would if it did not weigh more than it should."""
        return self.level > 0 or self.starved >= _FIRST_STEP


def at_start(before: int | None, load: float, cores: int, *, can_be_raised: bool) -> int:
    """The level of a run that begins.

    Args:
        before: the level of a run that ended just now, if there was one.
        load: processes of the machine that compute or wait for a processor, on average over a minute.
        cores: processors.
        can_be_raised: the level may change later; else that of the start is for the whole run.
    """
    if not can_be_raised:
        return len(LADDER) - 1 if load > cores else 0
    if before is not None:
        return before
    return _BUSY_LEVEL if load > _BUSY_LOAD * cores else 0


def is_starved(look: Look, minimum: float) -> bool:
    """Whether others have what the run lacks, and not the server, or the clients that it answers on this machine."""
    lacks = minimum - look.computed
    return lacks > 0 and look.waited >= lacks / 2 and look.others >= max(minimum, look.rest)


def is_held_up(look: Look, minimum: float) -> bool:
    """Whether a run had to wait while others computed. One at rest, or alone, does not: nobody slows it then."""
    return look.waited >= _NOTICED and look.others >= minimum


def after(look: Look, standing: Standing, minimum: float) -> Standing:
    """Where a run is after one more look.

    Args:
        look: what was seen.
        standing: where it was.
        minimum: the share of a processor that it is to have; 0 has it give way always.
    """
    if not minimum:
        return Standing()
    starved = standing.starved + look.seconds if is_starved(look, minimum) else 0.0
    alone = standing.alone + look.seconds if look.others < minimum else 0.0
    plenty = standing.plenty + look.seconds if look.computed > _MUCH * minimum else 0.0
    now = replace(standing, starved=starved, alone=alone, plenty=plenty)
    top = len(LADDER) - 1
    if starved >= (_NEXT_STEP if standing.level else _FIRST_STEP):
        return replace(now, level=min(standing.level + 1, top), starved=0.0 if standing.level < top else starved)
    if alone >= _ALONE:
        return replace(now, level=0)
    if plenty >= _PLENTY:
        return replace(now, level=max(standing.level - 1, 0), plenty=0.0)
    return now

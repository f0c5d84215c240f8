"""Which learned samples a cycle sees again. However many there are, a draw costs the same.

| strategy   | a draw is                                                                             |
| ---------- | ------------------------------------------------------------------------------------- |
| uniform    | a sample, each as likely as another: what was learned more of is replayed more        |
| stratified | a cycle, a source in it, a sample of both: a large file does not crowd out a small one |

A sample is drawn as the next one behind a random hash: as likely as the gap before it is wide.
"""

import itertools
import random
import sqlite3
from collections.abc import Callable

from daemon.settings.data import ReplayStrategy
from daemon.workers.intake.ledger.samples import POINTS

_DRAWS_EACH = 20
"""Draws for each sample wanted, after which the rest is taken as it comes: then there are hardly others left."""
_TRIES = 64

_BY_HASH = "SELECT id FROM samples WHERE state = 'learned' AND point >= ? ORDER BY point LIMIT ?"
_BY_HASH_IN_STRATUM = (
    "SELECT id FROM samples WHERE state = 'learned' AND cycle = ? AND source = ? AND point >= ? ORDER BY point LIMIT 1"
)
_FIRST_CYCLE = "SELECT min(cycle) FROM samples WHERE state = 'learned'"
_LAST_CYCLE = "SELECT max(cycle) FROM samples WHERE state = 'learned'"
_CYCLE_FROM = "SELECT min(cycle) FROM samples WHERE state = 'learned' AND cycle >= ?"
_SOURCES_OF_CYCLE = "SELECT DISTINCT source FROM samples WHERE state = 'learned' AND cycle = ?"


def draw(database: sqlite3.Connection, number: int, seed: int, strategy: ReplayStrategy) -> list[int]:
    """The numbers of so many learned samples, or of all where there are no more; the same for the same seed."""
    (learned,) = database.execute("SELECT sum(number) FROM counts WHERE state = 'learned'").fetchone()
    if number >= learned:
        return _from(database, 0, learned)
    rng = random.Random(seed)
    draw_one: Callable[[], int] = {
        "uniform": lambda: _of_all(database, rng),
        "stratified": lambda: _of_a_stratum(database, rng),
    }[strategy]
    found: dict[int, None] = {}
    for _ in range(_DRAWS_EACH * number):
        if len(found) == number:
            break
        found[draw_one()] = None
    rest = (chosen for chosen in _from(database, 0, number) if chosen not in found)
    return [*found, *itertools.islice(rest, number - len(found))]


def _of_all(database: sqlite3.Connection, rng: random.Random) -> int:
    [chosen] = _from(database, rng.randrange(POINTS), 1) or _from(database, 0, 1)
    return chosen


def _of_a_stratum(database: sqlite3.Connection, rng: random.Random) -> int:
    cycle = _cycle(database, rng)
    source = rng.choice([source for (source,) in database.execute(_SOURCES_OF_CYCLE, (cycle,))])
    point = rng.randrange(POINTS)
    (chosen,) = (
        database.execute(_BY_HASH_IN_STRATUM, (cycle, source, point)).fetchone()
        or database.execute(_BY_HASH_IN_STRATUM, (cycle, source, 0)).fetchone()
    )
    return int(chosen)


def _cycle(database: sqlite3.Connection, rng: random.Random) -> int:
    """A cycle that something was learned in; rejected ones lie between them, so a few numbers may have to be tried."""
    (first,), (last,) = database.execute(_FIRST_CYCLE).fetchone(), database.execute(_LAST_CYCLE).fetchone()
    found = last
    for _ in range(_TRIES):
        number = rng.randint(first, last)
        (found,) = database.execute(_CYCLE_FROM, (number,)).fetchone()
        if found == number:
            break
    return int(found)


def _from(database: sqlite3.Connection, point: int, number: int) -> list[int]:
    return [found for (found,) in database.execute(_BY_HASH, (point, number))]

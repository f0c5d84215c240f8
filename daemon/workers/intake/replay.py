"""Which learned conversations a cycle sees again. However many there are, a draw costs the same.

| strategy   | a draw is                                                                                   |
| ---------- | ------------------------------------------------------------------------------------------- |
| uniform    | a conversation, each as likely as another: what was learned more of is replayed more        |
| stratified | a cycle, a source in it, a conversation of both: a large file does not crowd out a small one |

A conversation is drawn as the next one behind a random hash: as likely as the gap before it is wide.
"""

import itertools
import random
import sqlite3
from collections.abc import Callable

from daemon.settings.sections import ReplayStrategy

_SPAN = 1 << 63
_DRAWS_EACH = 20
"""Draws for each conversation wanted, after which the rest is taken as it comes: then there are hardly others left."""
_TRIES = 64

Chosen = tuple[int, int, int, int, int]
"""A conversation: id, learn_from, and segment, offset and length of its text."""

_BY_HASH = (
    "SELECT id, learn_from, segment, offset, length FROM conversations"
    " WHERE state = 'learned' AND point >= ? ORDER BY point LIMIT ?"
)
_BY_HASH_IN_STRATUM = (
    "SELECT id, learn_from, segment, offset, length FROM conversations"
    " WHERE state = 'learned' AND cycle = ? AND source = ? AND point >= ? ORDER BY point LIMIT 1"
)
_FIRST_CYCLE = "SELECT min(cycle) FROM conversations WHERE state = 'learned'"
_LAST_CYCLE = "SELECT max(cycle) FROM conversations WHERE state = 'learned'"
_CYCLE_FROM = "SELECT min(cycle) FROM conversations WHERE state = 'learned' AND cycle >= ?"
_SOURCES_OF_CYCLE = "SELECT DISTINCT source FROM conversations WHERE state = 'learned' AND cycle = ?"


def sample(database: sqlite3.Connection, number: int, seed: int, strategy: ReplayStrategy) -> list[Chosen]:
    """So many learned conversations, or all where there are no more; the same for the same seed."""
    (learned,) = database.execute("SELECT number FROM counts WHERE state = 'learned'").fetchone()
    if number >= learned:
        return _from(database, 0, learned)
    draws = random.Random(seed)
    draw: Callable[[], Chosen] = {
        "uniform": lambda: _of_all(database, draws),
        "stratified": lambda: _of_a_stratum(database, draws),
    }[strategy]
    found: dict[int, Chosen] = {}
    for _ in range(_DRAWS_EACH * number):
        if len(found) == number:
            break
        chosen = draw()
        found[chosen[0]] = chosen
    rest = (chosen for chosen in _from(database, 0, number) if chosen[0] not in found)
    return [*found.values(), *itertools.islice(rest, number - len(found))]


def _of_all(database: sqlite3.Connection, draws: random.Random) -> Chosen:
    [chosen] = _from(database, draws.randrange(_SPAN), 1) or _from(database, 0, 1)
    return chosen


def _of_a_stratum(database: sqlite3.Connection, draws: random.Random) -> Chosen:
    cycle = _cycle(database, draws)
    source = draws.choice([source for (source,) in database.execute(_SOURCES_OF_CYCLE, (cycle,))])
    point = draws.randrange(_SPAN)
    chosen: Chosen = (
        database.execute(_BY_HASH_IN_STRATUM, (cycle, source, point)).fetchone()
        or database.execute(_BY_HASH_IN_STRATUM, (cycle, source, 0)).fetchone()
    )
    return chosen


def _cycle(database: sqlite3.Connection, draws: random.Random) -> int:
    """A cycle that something was learned in; rejected ones lie between them, so a few numbers may have to be tried."""
    (first,), (last,) = database.execute(_FIRST_CYCLE).fetchone(), database.execute(_LAST_CYCLE).fetchone()
    found = last
    for _ in range(_TRIES):
        number = draws.randint(first, last)
        (found,) = database.execute(_CYCLE_FROM, (number,)).fetchone()
        if found == number:
            break
    return int(found)


def _from(database: sqlite3.Connection, point: int, number: int) -> list[Chosen]:
    return database.execute(_BY_HASH, (point, number)).fetchall()

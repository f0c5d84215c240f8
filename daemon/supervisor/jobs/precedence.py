"""Who trains next: cycles and jobs share one trainer by this rule, a pure function with its table.

Cycles count as work of priority ``jobs.cycle_priority``. Among those that wait:

| of two that wait                 | goes first                        |
| -------------------------------- | --------------------------------- |
| their priorities differ          | the higher one                    |
| their priorities are the same    | the one that has waited longer    |

Whoever trains is left to it, with one exception: without it, a run of a day would keep thord from learning for a day.

| who trains | who waits                              | then                                                       |
| ---------- | -------------------------------------- | ---------------------------------------------------------- |
| a cycle    | anybody                                | it goes on to its end                                      |
| a job      | jobs only                              | it goes on to its end                                      |
| a job      | a cycle, of a lower priority           | it goes on to its end                                      |
| a job      | a cycle, of the same or a higher one   | after ``jobs.turn_minutes`` it stops at a checkpoint, and  |
|            |                                        | goes on from there when the cycle has trained              |
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Claim:
    """Somebody who trains, or waits for it.

    Attributes:
        kind: whether it is a cycle or a job.
        priority: the higher goes first.
        arrived: a number that grows with each who comes.
    """

    kind: Literal["cycle", "job"]
    priority: int
    arrived: int


def next_of(waiting: Iterable[Claim]) -> Claim | None:
    """The one to train next; null where nobody waits."""
    return min(waiting, key=lambda claim: (-claim.priority, claim.arrived), default=None)


def gives_way_after(holder: Claim, waiting: Iterable[Claim], turn_seconds: float) -> float | None:
    """How many seconds after its beginning the one who trains is to stop for others; null: it is left to its end."""
    if holder.kind == "cycle":
        return None
    waits = any(claim.kind == "cycle" and claim.priority >= holder.priority for claim in waiting)
    return turn_seconds if waits else None

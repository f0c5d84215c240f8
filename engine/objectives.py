"""What a run can minimise, by name. Plain data: torch is not imported here, so that settings and intake know it too.

An objective is a file in `engine/training/objectives` with a function ``make``, and a line in `OBJECTIVES`.
"""

from dataclasses import dataclass
from functools import cache

from engine.data.samples import Kind


@dataclass(frozen=True)
class ObjectiveEntry:
    """One line of the table.

    Attributes:
        module: the module whose ``make(settings, reference)`` gives the objective.
        learns: the kinds of samples it can learn from. Other kinds are held: kept, counted and shown, but not learned.
    """

    module: str
    learns: frozenset[Kind]


OBJECTIVES: dict[str, ObjectiveEntry] = {
    "language": ObjectiveEntry("engine.training.objectives.language", frozenset({"dialogue", "text", "labelled"})),
}


@cache
def is_learned(kind: Kind) -> bool:
    """Whether there is an objective that learns samples of this kind. All others are held.

    Of labelled ones it learns those of a task.
    """
    return any(kind in entry.learns for entry in OBJECTIVES.values())

"""How the next attempt differs from attempts that led to no promotion. A pure function with its table in view.

Each attempt since the last promotion, from the same base on the same sources, multiplies:

| it was                                              | rate | length |
| --------------------------------------------------- | ---- | ------ |
| diverged: validation never improved                 | 1/4  |        |
| worse than the version it was to follow             | 1/2  |        |
| better, but a part of what is held out may be worse | 1/2  |        |
| better, but it forgot                               | 1/2  |        |
| not shown to be better                              |      | 3/2    |
| the very weights it began with                      | 2    | 3/2    |
| a first version no better than the baseline         |      | 2      |

Each attempt also has its own seed. Keys that ``[training]`` sets stay as they are, except the seed.
"""

import math
from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

from engine.config.training import TrainingSettings

Ending = Literal[
    "diverged", "worse", "part_worse", "forgot", "over_budget", "not_shown", "unchanged", "too_few", "no_figures"
]
"""How a cycle ended that was not promoted."""

_RATE: dict[Ending, float] = {"diverged": 1 / 4, "worse": 1 / 2, "part_worse": 1 / 2, "forgot": 1 / 2, "unchanged": 2.0}
_LENGTH: dict[Ending, float] = {"not_shown": 3 / 2, "unchanged": 3 / 2}
_FIRST_RATE: dict[Ending, float] = {"diverged": 1 / 4}
_FIRST_LENGTH: dict[Ending, float] = {"worse": 2.0, "not_shown": 2.0, "part_worse": 2.0}
_LEAST_RATE, _MOST_RATE, _MOST_LENGTH = 1 / 64, 8.0, 8.0


class Variation(BaseModel):
    """What a run does differently: factors for its peak rate and its length, and a number to add to its seed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rate: float = 1.0
    length: float = 1.0
    seed: int = 0

    @property
    def words(self) -> str:
        """For people: ``half the learning rate, another seed``."""
        parts = [
            *([f"{_times(self.rate)} the learning rate"] if self.rate != 1 else []),
            *([f"{_times(self.length)} as long"] if self.length != 1 else []),
            *(["another seed"] if self.seed else []),
        ]
        return ", ".join(parts)


def after(endings: Sequence[Ending], settings: TrainingSettings, *, first: bool) -> Variation:
    """How the next attempt differs from those that ended so; ``first``: there was no version to start from."""
    rates, lengths = (_FIRST_RATE, _FIRST_LENGTH) if first else (_RATE, _LENGTH)
    rate = math.prod(rates.get(ending, 1.0) for ending in endings)
    length = math.prod(lengths.get(ending, 1.0) for ending in endings)
    return Variation(
        rate=1.0 if settings.learning_rate is not None else min(max(rate, _LEAST_RATE), _MOST_RATE),
        length=1.0 if settings.epochs is not None or settings.max_steps is not None else min(length, _MOST_LENGTH),
        seed=len(endings),
    )


def _times(factor: float) -> str:
    named = {0.5: "half", 0.25: "a quarter of", 2.0: "twice", 1.5: "one and a half times"}
    return named.get(factor, f"{factor:.3g} times")

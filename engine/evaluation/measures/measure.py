"""What a measure is: a pure function of the results on each sample, and what one has to know to compare by it."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from engine.evaluation.likelihood import Floats
from engine.evaluation.results import Results

CONVERSATIONS = frozenset({"chat", "text", "labelled"})
"""The kinds of sample that have a likelihood."""


class Terms(NamedTuple):
    """A ratio of sums over C samples: the sum of the numerators by that of the denominators, in units of ``unit``."""

    numerators_C: Floats
    denominators_C: Floats
    unit: float = 1.0

    @property
    def ratio(self) -> float:
        """The ratio of the sums; NaN where the denominators are nothing."""
        below = float(self.denominators_C.sum())
        return float(self.numerators_C.sum()) / below / self.unit if below else math.nan


@dataclass(frozen=True)
class Measure:
    """One measure of quality.

    Attributes:
        name: its key in ``metrics``, and what a policy of the gate calls it.
        unit: for people, as it follows a number.
        better: whether lower or higher values are better.
        kinds: the kinds of sample that it applies to; others are left out.
        terms: numerators and denominators of samples of those kinds, a pure function.
        transform: what makes the value of the ratio, where the ratio itself is not the value. The gate cannot compare
            by such a measure.
    """

    name: str
    unit: str
    better: Literal["lower", "higher"]
    kinds: frozenset[str]
    terms: Callable[[Results], Terms]
    transform: Callable[[float], float] | None = None

    def value(self, results: Results) -> float:
        """The value over all samples of the measure's kinds; NaN where there is nothing to measure."""
        ratio = self.terms(results.of_kinds(self.kinds)).ratio
        return ratio if self.transform is None else self.transform(ratio)

    def worsening(self, change: float) -> float:
        """A change of the value, turned so that above zero is worse."""
        return change if self.better == "lower" else -change

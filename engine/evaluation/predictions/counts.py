"""Precision, recall and F1 from counts of hits, for labels and for spans."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean


@dataclass(frozen=True)
class ClassFigures:
    """How well one class is found. A share of nothing is 0.

    Attributes:
        hits: how often it was predicted rightly.
        predicted: how often it was predicted.
        support: how often it was right.
    """

    hits: int
    predicted: int
    support: int

    @property
    def precision(self) -> float:
        """The share of hits in what was predicted."""
        return self.hits / self.predicted if self.predicted else 0.0

    @property
    def recall(self) -> float:
        """The share of hits in what was right."""
        return self.hits / self.support if self.support else 0.0

    @property
    def f1(self) -> float:
        """The harmonic mean of both."""
        both = self.predicted + self.support
        return 2 * self.hits / both if both else 0.0


def by_class(
    classes: Iterable[str], hits: Mapping[str, int], predicted: Mapping[str, int], support: Mapping[str, int]
) -> dict[str, ClassFigures]:
    """The figures of each class, in the order given."""
    return {one: ClassFigures(hits.get(one, 0), predicted.get(one, 0), support.get(one, 0)) for one in classes}


def micro(hits: Counter[str], predicted: Counter[str], support: Counter[str]) -> ClassFigures:
    """All classes taken together, those predicted outside of the task's own included."""
    return ClassFigures(hits.total(), predicted.total(), support.total())


def macro(classes: Mapping[str, ClassFigures]) -> dict[str, float]:
    """Plain means over the classes."""
    figures = list(classes.values())
    return {
        "precision": fmean(one.precision for one in figures) if figures else 0.0,
        "recall": fmean(one.recall for one in figures) if figures else 0.0,
        "f1": fmean(one.f1 for one in figures) if figures else 0.0,
    }

"""What a measure of predictions is, and what it answers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from engine.evaluation.predictions.pairs import LabelPair, SpanPair, TextPair

PairT = TypeVar("PairT", TextPair, LabelPair, SpanPair)


class UnmeasurableError(Exception):
    """These pairs lack what the measure needs; the message says what, where and what to do."""


def require_references(measure: str, pairs: Sequence[TextPair]) -> None:
    """Check that a measure has something to compare each prediction with.

    Raises:
        UnmeasurableError: a prediction has no reference text.
    """
    for number, pair in enumerate(pairs, 1):
        if not pair.references:
            raise UnmeasurableError(f"{measure} needs a reference text for every prediction; number {number} has none")


@dataclass(frozen=True)
class Score:
    """A value, how it was computed, and the figures behind it.

    Attributes:
        signature: what has to be equal for two values to be comparable.
        parts: figures that the value is made of, by name, in the same unit.
    """

    value: float
    signature: str
    parts: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class PredictionMeasure(Generic[PairT]):
    """One measure of predictions.

    Attributes:
        name: what `thorctl metrics --measure` calls it.
        score: a pure function of one or more pairs. Raises `UnmeasurableError`.
        is_default: whether it is computed where nobody names measures.
    """

    name: str
    score: Callable[[Sequence[PairT]], Score]
    is_default: bool = True

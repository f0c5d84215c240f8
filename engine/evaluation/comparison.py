"""Candidate against incumbent by one measure on the same samples, and how sure the difference is."""

import math

import numpy as np
from pydantic import BaseModel, ConfigDict

from engine.evaluation.bootstrap import PairedBootstrap
from engine.evaluation.measures.measure import Measure, Terms
from engine.evaluation.results import Results


class Comparison(BaseModel):
    """The values of both, and ``difference``, the candidate's less the incumbent's, in the unit of the measure.

    ``lower`` and ``upper`` bound the true difference, each with ``confidence``. Null: it cannot be told.
    """

    model_config = ConfigDict(frozen=True)

    conversations: int
    candidate: float | None
    incumbent: float | None
    difference: float | None
    lower: float | None
    upper: float | None
    confidence: float


class Pairing:
    """The terms that a measure makes of both versions' results, sample by sample, resampled as pairs.

    The seed is fixed, so a judgement can be repeated.

    Raises:
        ValueError: the measure's value is not a ratio of sums, which is what is resampled.
    """

    def __init__(self, measure: Measure, candidate: Terms, incumbent: Terms, resamples: int) -> None:
        if measure.transform is not None:
            raise ValueError(f"the gate cannot compare by '{measure.name}', whose value is not a ratio of sums")
        self._measure, self._candidate, self._incumbent = measure, candidate, incumbent
        differences_C = (self._candidate.numerators_C - self._incumbent.numerators_C) / self._candidate.unit
        if not np.array_equal(self._candidate.denominators_C, self._incumbent.denominators_C):
            differences_C = np.full_like(differences_C, math.nan)  # counted differently, so they cannot be paired
        sign = measure.worsening(1.0)
        self._worsening = PairedBootstrap(sign * differences_C, self._candidate.denominators_C, resamples)

    @classmethod
    def of(cls, measure: Measure, candidate: Results, incumbent: Results, resamples: int) -> "Pairing":
        """Pair results by the terms that the measure makes of them. Raises as the class."""
        ours, theirs = (measure.terms(each.of_kinds(measure.kinds)) for each in (candidate, incumbent))
        return cls(measure, ours, theirs, resamples)

    def __len__(self) -> int:
        return len(self._candidate.numerators_C)

    def p_value(self, tolerance: float) -> float:
        """How probable so small a worsening is if the true one is ``tolerance``; 1 where that cannot be said."""
        return self._worsening.p_value(tolerance)

    def compare(self, confidence: float) -> Comparison:
        """The values and the difference, with bounds that hold with ``confidence`` each."""
        lower, upper = self._worsening.lower(confidence), self._worsening.upper(confidence)
        if self._measure.better == "higher":
            lower, upper = -upper, -lower
        return Comparison(
            conversations=len(self),
            candidate=_finite(self._candidate.ratio),
            incumbent=_finite(self._incumbent.ratio),
            difference=_finite(self._measure.worsening(self._worsening.difference)),
            lower=_finite(lower),
            upper=_finite(upper),
            confidence=confidence,
        )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None

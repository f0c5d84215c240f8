"""Candidate against incumbent by one measure on the same samples, and how sure the difference is."""

import math

import numpy as np
from pydantic import BaseModel, ConfigDict

from engine.evaluation.bootstrap import PairedBootstrap
from engine.evaluation.measures.measure import Measure
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
    """The results of both versions on the samples that a measure applies to, resampled as pairs.

    The seed is fixed, so a judgement can be repeated.

    Raises:
        ValueError: the measure's value is not a ratio of sums, which is what is resampled.
    """

    def __init__(self, measure: Measure, candidate: Results, incumbent: Results, resamples: int) -> None:
        if measure.transform is not None:
            raise ValueError(f"the gate cannot compare by '{measure.name}', whose value is not a ratio of sums")
        self._measure = measure
        self._candidate = measure.terms(candidate.of_kinds(measure.kinds))
        self._incumbent = measure.terms(incumbent.of_kinds(measure.kinds))
        differences_C = (self._candidate.numerators_C - self._incumbent.numerators_C) / self._candidate.unit
        if not np.array_equal(self._candidate.denominators_C, self._incumbent.denominators_C):
            differences_C = np.full_like(differences_C, math.nan)  # counted differently, so they cannot be paired
        sign = measure.worsening(1.0)
        self._worsening = PairedBootstrap(sign * differences_C, self._candidate.denominators_C, resamples)

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

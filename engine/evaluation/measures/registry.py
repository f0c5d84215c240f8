"""The table of measures: every evaluation computes each of them, over all samples and over every slice."""

import math

from engine.evaluation.measures.bits_per_byte import BITS_PER_BYTE
from engine.evaluation.measures.loss import LOSS
from engine.evaluation.measures.measure import Measure
from engine.evaluation.measures.perplexity import PERPLEXITY
from engine.evaluation.results import Results

_ALL = (
    LOSS,
    PERPLEXITY,
    BITS_PER_BYTE,
)
MEASURES: dict[str, Measure] = {measure.name: measure for measure in _ALL}


def values(results: Results) -> dict[str, float]:
    """Every measure that is a finite number on these results, by name."""
    found = {name: measure.value(results) for name, measure in MEASURES.items()}
    return {name: value for name, value in found.items() if math.isfinite(value)}

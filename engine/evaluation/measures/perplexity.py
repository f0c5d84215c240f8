"""The perplexity: the exponential of the loss. Comparable only under one tokenizer."""

import math
from dataclasses import replace

from engine.evaluation.measures.loss import LOSS

_LARGEST_EXPONENT = 700
"""Of float64, a little less."""


def _exponential(loss: float) -> float:
    return math.exp(loss) if loss < _LARGEST_EXPONENT else math.inf


PERPLEXITY = replace(LOSS, name="perplexity", unit="perplexity", transform=_exponential)

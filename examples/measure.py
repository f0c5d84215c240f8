"""A toy measure in one file: the share of conversations that cost a version less than a nat a token.

Its two lines in `engine.evaluation.measures.registry`, after which every evaluation has ``metrics["guessable"]``:

    from examples.measure import GUESSABLE
    GUESSABLE,
"""

import numpy as np

from engine.evaluation.measures.measure import CONVERSATIONS, Measure, Terms
from engine.evaluation.results import Results


def _guessable(results: Results) -> Terms:
    cheap_C = results.likelihood.nats_C < results.likelihood.tokens_C
    return Terms(cheap_C.astype(np.float64), np.ones(len(results)))


GUESSABLE = Measure("guessable", "of all conversations", "higher", CONVERSATIONS, _guessable)

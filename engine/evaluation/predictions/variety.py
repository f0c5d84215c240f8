"""How varied the predictions are: distinct n-grams over all of them, and repetition within each. No reference is read.

distinct-n (Li et al., 2016) is the share of different ones among all n-grams. ``repetition`` is the mean share of
4-grams of a text that it has already said (Welleck et al., 2020, call it seq-rep-4).
"""

from collections.abc import Sequence
from statistics import fmean

from engine.evaluation.predictions.measure import PredictionMeasure, Score
from engine.evaluation.predictions.pairs import TextPair
from engine.evaluation.predictions.words import ngrams, words

_REPEATED = 4


def distinct(texts: Sequence[str], size: int) -> float:
    """The share of different n-grams among all; 0 where there is none."""
    found = [ngram for text in texts for ngram in ngrams(words(text), size)]
    return len(set(found)) / len(found) if found else 0.0


def repetition(text: str) -> float:
    """The share of 4-grams that occurred in the text before; 0 in a text of fewer than four words."""
    found = ngrams(words(text), _REPEATED)
    return 1 - len(set(found)) / len(found) if found else 0.0


def _distinct(size: int) -> PredictionMeasure[TextPair]:
    def score(pairs: Sequence[TextPair]) -> Score:
        return Score(distinct([pair.prediction for pair in pairs], size), f"n:{size}|tok:unicode")

    return PredictionMeasure(f"distinct{size}", score)


def _repetition(pairs: Sequence[TextPair]) -> Score:
    return Score(fmean(repetition(pair.prediction) for pair in pairs), f"n:{_REPEATED}|tok:unicode")


DISTINCT_1, DISTINCT_2 = _distinct(1), _distinct(2)
REPETITION: PredictionMeasure[TextPair] = PredictionMeasure("repetition", _repetition)

"""ROUGE-1, ROUGE-2, ROUGE-L and ROUGE-Lsum (Lin, 2004), as rouge-score 0.1.2 computes them on ASCII text.

That package cuts ``[a-z0-9]+``, so that any Russian text scores 0 against itself; here words of every script count
(`engine.evaluation.predictions.words`). Nothing is stemmed. Of several references the one with the best F counts.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from statistics import fmean
from typing import NamedTuple

from engine.evaluation.predictions.measure import PredictionMeasure, Score, require_references
from engine.evaluation.predictions.pairs import TextPair
from engine.evaluation.predictions.words import ngrams, words


class Overlap(NamedTuple):
    """How much of the reference was said, and how much of what was said is in the reference."""

    precision: float
    recall: float

    @property
    def f(self) -> float:
        """The harmonic mean of both."""
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0


def rouge_n(prediction: str, reference: str, size: int) -> Overlap:
    """Overlap of n-grams of ``size`` words."""
    said, expected = Counter(ngrams(words(prediction), size)), Counter(ngrams(words(reference), size))
    return _overlap((said & expected).total(), said.total(), expected.total())


def rouge_l(prediction: str, reference: str) -> Overlap:
    """Overlap in the longest common subsequence of words."""
    said, expected = words(prediction), words(reference)
    return _overlap(len(_common(expected, said)), len(said), len(expected))


def rouge_lsum(prediction: str, reference: str) -> Overlap:
    """Overlap in the union of the longest common subsequences of sentences; each line is a sentence."""
    said, expected = _sentences(prediction), _sentences(reference)
    left_said = Counter(word for sentence in said for word in sentence)
    left_expected = Counter(word for sentence in expected for word in sentence)
    sizes = left_said.total(), left_expected.total()
    hits = 0
    for sentence in expected:
        union = set().union(*(_common(sentence, other) for other in said))
        for position in sorted(union):
            word = sentence[position]
            if left_said[word] and left_expected[word]:
                hits += 1
                left_said[word] -= 1
                left_expected[word] -= 1
    return _overlap(hits, *sizes)


def _sentences(text: str) -> list[list[str]]:
    return [words(line) for line in text.split("\n") if line]


def _overlap(common: int, said: int, expected: int) -> Overlap:
    return Overlap(common / said if said else 0.0, common / expected if expected else 0.0)


def _common(expected: Sequence[str], said: Sequence[str]) -> list[int]:
    """Positions in ``expected`` of a longest common subsequence; of several, the one that rouge-score takes."""
    lengths = [[0] * (len(said) + 1)]
    for word in expected:
        above, row = lengths[-1], [0]
        for column, other in enumerate(said):
            row.append(above[column] + 1 if word == other else max(row[column], above[column + 1]))
        lengths.append(row)
    found: list[int] = []
    at, column = len(expected), len(said)
    while at and column:
        if expected[at - 1] == said[column - 1]:
            at, column = at - 1, column - 1
            found.append(at)
        elif lengths[at][column - 1] > lengths[at - 1][column]:
            column -= 1
        else:
            at -= 1
    return found


def _measure(name: str, overlap: Callable[[str, str], Overlap]) -> PredictionMeasure[TextPair]:
    def score(pairs: Sequence[TextPair]) -> Score:
        require_references(name, pairs)
        best = [
            max((overlap(pair.prediction, one) for one in pair.references), key=lambda one: one.f) for pair in pairs
        ]
        parts = {"precision": fmean(one.precision for one in best), "recall": fmean(one.recall for one in best)}
        return Score(fmean(one.f for one in best), "f|tok:unicode|stem:no", parts)

    return PredictionMeasure(name, score)


ROUGE_1 = _measure("rouge1", lambda prediction, reference: rouge_n(prediction, reference, 1))
ROUGE_2 = _measure("rouge2", lambda prediction, reference: rouge_n(prediction, reference, 2))
ROUGE_L = _measure("rougeL", rouge_l)
ROUGE_LSUM = _measure("rougeLsum", rouge_lsum)

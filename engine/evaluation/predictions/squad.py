"""Exact match and F1 of answers, in percent, as the evaluation scripts of SQuAD 1.1 and 2.0 define them.

An answer is lower-cased and loses ASCII punctuation and articles; of several references the best one counts. In 2.0 a
question may have no answer: then, and where a reference normalises to nothing, only an empty answer is right.
"""

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence
from statistics import fmean

from engine.evaluation.predictions.measure import PredictionMeasure, Score, UnmeasurableError
from engine.evaluation.predictions.pairs import TextPair

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_WITHOUT_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalized(answer: str) -> str:
    """An answer as it is compared."""
    return " ".join(_ARTICLES.sub(" ", answer.lower().translate(_WITHOUT_PUNCTUATION)).split())


def exact_match(answer: str, reference: str) -> float:
    """1 where both are equal once normalised, else 0."""
    return float(normalized(answer) == normalized(reference))


def token_f1(answer: str, reference: str) -> float:
    """F1 of the words of both, as in 1.1: 0 where either has none."""
    said, expected = normalized(answer).split(), normalized(reference).split()
    common = (Counter(said) & Counter(expected)).total()
    return 2 * common / (len(said) + len(expected)) if common else 0.0


def token_f1_with_none(answer: str, reference: str) -> float:
    """The same, as in 2.0: where either has no words, 1 if both have none."""
    if normalized(answer) and normalized(reference):
        return token_f1(answer, reference)
    return exact_match(answer, reference)


def _measure(name: str, compare: Callable[[str, str], float], *, may_lack_answers: bool) -> PredictionMeasure[TextPair]:
    def score(pairs: Sequence[TextPair]) -> Score:
        best = []
        for number, pair in enumerate(pairs, 1):
            references = pair.references
            if may_lack_answers:
                references = tuple(one for one in references if normalized(one)) or ("",)
            elif not references:
                raise UnmeasurableError(
                    f"{name} needs an answer to every question; number {number} has none: measure squad2_{name[6:]}"
                )
            best.append(max(compare(pair.prediction, one) for one in references))
        return Score(100 * fmean(best), f"squad:{'2.0' if may_lack_answers else '1.1'}")

    return PredictionMeasure(name, score, is_default=False)


SQUAD_EXACT_MATCH = _measure("squad_exact_match", exact_match, may_lack_answers=False)
SQUAD_F1 = _measure("squad_f1", token_f1, may_lack_answers=False)
SQUAD2_EXACT_MATCH = _measure("squad2_exact_match", exact_match, may_lack_answers=True)
SQUAD2_F1 = _measure("squad2_f1", token_f1_with_none, may_lack_answers=True)

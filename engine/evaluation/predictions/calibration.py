"""The expected calibration error (Guo et al., 2017): how far probabilities are from the share of right answers.

Predictions are binned by the probability of the predicted label into bins of equal width, each open below and closed
above. The error is the mean distance between probability and accuracy, weighted by the size of the bins.
"""

import math
from collections.abc import Sequence

from engine.evaluation.predictions.measure import PredictionMeasure, Score, UnmeasurableError
from engine.evaluation.predictions.pairs import LabelPair

BINS = 15


def calibration_error(probabilities: Sequence[float], are_right: Sequence[bool], bins: int = BINS) -> float:
    """The expected calibration error, from 0 to 1."""
    gaps = [0.0] * bins
    for probability, is_right in zip(probabilities, are_right, strict=True):
        gaps[max(0, math.ceil(probability * bins) - 1)] += probability - is_right
    return sum(map(abs, gaps)) / len(probabilities)


def _score(pairs: Sequence[LabelPair]) -> Score:
    probabilities = [pair.probability for pair in pairs if pair.probability is not None]
    if len(probabilities) < len(pairs):
        raise UnmeasurableError(
            f"calibration_error needs the probability of every predicted label; {len(pairs) - len(probabilities)} of "
            f"{len(pairs)} predictions have none"
        )
    are_right = [pair.prediction == pair.reference for pair in pairs]
    return Score(calibration_error(probabilities, are_right), f"bins:{BINS}|width:equal")


CALIBRATION_ERROR: PredictionMeasure[LabelPair] = PredictionMeasure("calibration_error", _score)

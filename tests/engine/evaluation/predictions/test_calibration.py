"""The expected calibration error."""

import random

import pytest

from engine.evaluation.predictions.calibration import calibration_error
from engine.evaluation.predictions.measure import UnmeasurableError
from engine.evaluation.predictions.pairs import LabelPair
from engine.evaluation.predictions.registry import label_measures


def test_it_is_the_weighted_gap_of_the_bins() -> None:
    # Two bins: (0, 0.5] has mean probability 0.35 and accuracy 0.5, (0.5, 1] has 0.85 and 2/3.
    found = calibration_error([0.2, 0.5, 0.7, 0.9, 0.95], [False, True, True, False, True], bins=2)
    assert found == pytest.approx((2 * 0.15 + 3 * (0.85 - 2 / 3)) / 5)


def test_certainty_is_judged_by_its_results() -> None:
    assert calibration_error([1.0, 1.0], [True, True]) == 0
    assert calibration_error([1.0, 1.0], [True, False]) == 0.5
    assert calibration_error([0.0], [False]) == 0


def test_a_calibrated_model_has_hardly_any() -> None:
    draws = random.Random(0)
    probabilities = [draws.random() for _ in range(20_000)]
    assert calibration_error(probabilities, [draws.random() < one for one in probabilities]) < 0.02


def test_probabilities_that_are_missing_are_counted() -> None:
    measure = label_measures(("a",))["calibration_error"]
    assert measure.score([LabelPair("a", "a", 0.75)]).value == 0.25
    with pytest.raises(UnmeasurableError, match="1 of 2 predictions have none"):
        measure.score([LabelPair("a", "a", 0.75), LabelPair("a", "a")])

"""Probabilities sum to 1, priors and temperatures do what they are for, and what was fitted is found again."""

import math
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.tasks import calibrating
from engine.tasks.answering import Calibration, probabilities_of
from engine.tasks.calibrating import FEWEST, FittedTemperature

LOGPROBS = st.lists(st.floats(-1e4, 0), min_size=1, max_size=9)


@given(LOGPROBS, st.floats(0.05, 20))
def test_probabilities_sum_to_one_and_keep_the_order(logprobs: list[float], temperature: float) -> None:
    found = probabilities_of(logprobs, Calibration(temperature))
    assert math.fsum(found) == pytest.approx(1)
    assert max(found) == found[logprobs.index(max(logprobs))]


def test_a_prior_takes_away_what_a_label_has_without_a_text() -> None:
    assert (
        probabilities_of([math.log(0.6), math.log(0.3)], Calibration(prior=(math.log(0.6), math.log(0.3)))) == [0.5] * 2
    )


def test_the_temperature_that_made_the_labels_is_found() -> None:
    draws = random.Random(1)
    rows = [[draws.gauss(0, 4) for _ in range(3)] for _ in range(4000)]
    right = [draws.choices(range(3), probabilities_of(row, Calibration(2.5)))[0] for row in rows]
    assert calibrating.fitted(rows, right) == pytest.approx(2.5, rel=0.1)
    assert calibrating.fitted(rows[: FEWEST - 1], right[: FEWEST - 1]) == 1.0


def test_a_temperature_is_fitted_to_what_the_prior_leaves() -> None:
    draws, prior = random.Random(2), (0.0, -6.0, -3.0)
    rows = [[draws.gauss(0, 4) + one for one in prior] for _ in range(4000)]
    right = [draws.choices(range(3), probabilities_of(row, Calibration(2.5, prior)))[0] for row in rows]
    assert calibrating.fitted(rows, right, prior) == pytest.approx(2.5, rel=0.1)
    assert calibrating.fitted(rows, right) != pytest.approx(2.5, rel=0.1)


def test_what_was_fitted_is_found_again(tmp_path: Path) -> None:
    assert calibrating.read(tmp_path) == {}
    calibrating.write(tmp_path, {"mood": FittedTemperature(temperature=2.0, rows=50)})
    assert calibrating.read(tmp_path) == {"mood": Calibration(2.0)}
    (tmp_path / calibrating.FILE).write_text("{")
    assert calibrating.read(tmp_path) == {}

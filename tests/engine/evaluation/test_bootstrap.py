import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.evaluation.bootstrap import PairedBootstrap

ONES = np.ones


def test_with_equal_sizes_difference_and_error_are_those_of_a_mean() -> None:
    differences = np.random.default_rng(0).normal(0.3, 2.0, 30)
    bootstrap = PairedBootstrap(differences, ONES(30), resamples=100)
    assert bootstrap.difference == pytest.approx(differences.mean())
    assert bootstrap.error == pytest.approx(differences.std(ddof=1) / math.sqrt(30))


def test_error_of_a_ratio_is_the_spread_over_many_samples() -> None:
    generator = np.random.default_rng(1)
    sizes = generator.lognormal(4, 0.7, (4000, 200))
    differences = sizes * generator.normal(-0.1, 0.3, (4000, 200))
    ratios = differences.sum(axis=1) / sizes.sum(axis=1)
    errors = [PairedBootstrap(d, s, resamples=1).error for d, s in zip(differences[:50], sizes[:50], strict=True)]
    assert np.median(errors) == pytest.approx(ratios.std(), rel=0.1)


def test_bounds_of_many_normal_pairs_are_those_of_the_textbook() -> None:
    differences = np.random.default_rng(2).normal(0.0, 1.0, 400)
    bootstrap = PairedBootstrap(differences, ONES(400), resamples=20_000)
    for confidence in (0.9, 0.95, 0.99):
        reach = NormalDist().inv_cdf(confidence) * bootstrap.error
        assert bootstrap.upper(confidence) - bootstrap.difference == pytest.approx(reach, rel=0.06)
        assert bootstrap.difference - bootstrap.lower(confidence) == pytest.approx(reach, rel=0.06)


@pytest.mark.parametrize(("count", "allowed"), [(5, 0.075), (8, 0.07), (30, 0.07)])
def test_a_bound_fails_about_as_often_as_it_says(count: int, allowed: float) -> None:
    """Pairs of very different sizes around no true difference; the plain percentile interval fails in 0.11 of 5."""
    generator = np.random.default_rng(count)
    failures = 0
    for _ in range(1000):
        sizes = generator.lognormal(5, 0.8, count)
        differences = np.sqrt(sizes) * generator.normal(0, 1, count)
        failures += PairedBootstrap(differences, sizes, resamples=400).upper(0.95) < 0
    assert failures / 1000 <= allowed


def test_the_p_value_and_the_bound_tell_the_same() -> None:
    bootstrap = PairedBootstrap(np.random.default_rng(4).normal(-0.2, 1, 25), ONES(25), resamples=5000)
    for confidence in (0.8, 0.95, 0.99):
        bound = bootstrap.upper(confidence)
        assert bootstrap.p_value(bound + 1e-6) <= 1 - confidence + 1e-3
        assert bootstrap.p_value(bound - 1e-6) >= 1 - confidence - 1e-3


PAIRS = st.lists(st.tuples(st.floats(-5, 5), st.floats(1, 100)), min_size=3, max_size=12)


@given(PAIRS, st.floats(-3, 3), st.floats(0.5, 20))
@settings(max_examples=60, deadline=None)
def test_shift_and_unit_change_nothing_but_the_scale(
    pairs: list[tuple[float, float]], shift: float, unit: float
) -> None:
    differences, sizes = (np.array(column) for column in zip(*pairs, strict=True))
    plain = PairedBootstrap(differences, sizes, resamples=300)
    moved = PairedBootstrap((differences + shift * sizes) * unit, sizes, resamples=300)
    assert moved.difference == pytest.approx((plain.difference + shift) * unit, abs=1e-6)
    assert moved.error == pytest.approx(plain.error * unit, rel=1e-4, abs=1e-5)


@given(PAIRS)
@settings(max_examples=60, deadline=None)
def test_the_order_of_pairs_does_not_matter(pairs: list[tuple[float, float]]) -> None:
    plain = PairedBootstrap(*(np.array(column) for column in zip(*pairs, strict=True)), resamples=10)
    turned = PairedBootstrap(*(np.array(column) for column in zip(*reversed(pairs), strict=True)), resamples=10)
    assert turned.difference == pytest.approx(plain.difference, abs=1e-9)
    assert turned.error == pytest.approx(plain.error, rel=1e-5, abs=1e-6)


def test_pairs_that_all_agree_leave_no_doubt() -> None:
    sizes = np.array([3.0, 10.0, 70.0])
    bootstrap = PairedBootstrap(-0.25 * sizes, sizes, resamples=100)
    assert bootstrap.upper(0.99) == bootstrap.lower(0.99) == pytest.approx(-0.25)
    assert bootstrap.p_value(0.0) == 0.0
    assert bootstrap.p_value(-0.5) == 1.0


@pytest.mark.parametrize("differences", [[], [-1.0], [math.nan, -1.0, -1.0], [-math.inf, -1.0, -2.0], [-1.0, -2.0]])
def test_what_cannot_be_told_has_no_bound(differences: list[float]) -> None:
    bootstrap = PairedBootstrap(np.array(differences), ONES(len(differences)), resamples=500)
    assert bootstrap.upper(0.95) == math.inf
    assert bootstrap.lower(0.95) == -math.inf
    assert bootstrap.p_value(0.0) > 0.05

import math

import numpy as np
import pytest

from engine.config.evaluation import GateSettings
from engine.evaluation.budgets import Budget
from engine.evaluation.gate import GuardedSet, Verdict, judge
from engine.evaluation.likelihood import Likelihood
from engine.evaluation.measures.measure import Terms
from engine.evaluation.policy import Guard, Policy
from engine.evaluation.results import By, Results
from engine.evaluation.suites.suite import ACCURACY

SETTINGS = GateSettings(bootstrap_resamples=1000)


def likelihood(bits_per_byte: np.ndarray, sizes: np.ndarray) -> Likelihood:
    return Likelihood(nats_C=bits_per_byte * math.log(2) * sizes, tokens_C=sizes / 4, bytes_C=sizes)


def versions(
    generator: np.random.Generator, count: int, change: float, spread: float = 0.05
) -> tuple[Likelihood, Likelihood]:
    """A candidate whose true bits per byte differ from the incumbent's by ``change``, on conversations of all sizes."""
    sizes = np.round(generator.lognormal(6, 0.8, count)) + 1
    incumbent = generator.normal(2.0, 0.3, count)
    noise = generator.normal(0, spread, count) * np.sqrt(400 / sizes)  # a longer conversation says more
    return likelihood(incumbent + change + noise, sizes), likelihood(incumbent, sizes)


def verdict(candidate: Likelihood, incumbent: Likelihood, settings: GateSettings = SETTINGS) -> Verdict:
    chats_C = {"kind": np.array(["chat"] * len(candidate.nats_C), np.str_)}
    return judge(*(Results(each, chats_C) for each in (candidate, incumbent)), settings, "version 7")


def sliced(candidate: Likelihood, incumbent: Likelihood, names: list[str], by: By = "kind") -> Verdict:
    slices_C = {by: np.array(names, np.str_)}
    pair = (Results(each, slices_C) for each in (candidate, incumbent))
    return judge(*pair, SETTINGS, "version 7", Policy("bits_per_byte", (Guard("bits_per_byte", by),)))


@pytest.mark.parametrize("count", [6, 40])
def test_a_candidate_that_is_no_better_is_rarely_promoted(count: int) -> None:
    generator = np.random.default_rng(0)
    quick = SETTINGS.model_copy(update={"bootstrap_resamples": 300})
    promoted = sum(verdict(*versions(generator, count, 0.0), quick).passed for _ in range(800))
    assert promoted / 800 <= 0.08


def test_a_candidate_that_is_clearly_better_is_promoted() -> None:
    generator = np.random.default_rng(1)
    assert all(verdict(*versions(generator, 40, -0.05)).passed for _ in range(50))


def test_a_worse_candidate_is_never_promoted() -> None:
    generator = np.random.default_rng(2)
    found = [verdict(*versions(generator, 40, +0.05)) for _ in range(50)]
    assert not any(one.passed for one in found)
    surely = [one for one in found if one.overall.lower > 0]
    assert surely
    assert all(one.kind == "worse" and f"at least {one.overall.lower:+.4f}" in one.reason for one in surely)


def test_the_figures_are_ratios_of_sums() -> None:
    sizes = np.array([10.0, 1000.0, 30.0, 500.0, 20.0, 70.0])
    candidate = likelihood(np.array([1.0, 2.0, 1.5, 1.0, 3.0, 1.0]), sizes)
    incumbent = likelihood(np.array([2.0, 2.5, 1.0, 1.5, 3.5, 1.2]), sizes)
    overall = verdict(candidate, incumbent).overall
    assert overall.candidate == pytest.approx((10 + 2000 + 45 + 500 + 60 + 70) / sizes.sum())
    assert overall.incumbent == pytest.approx((20 + 2500 + 30 + 750 + 70 + 84) / sizes.sum())
    assert overall.difference == pytest.approx(overall.candidate - overall.incumbent)
    assert overall.lower < overall.difference < overall.upper


def test_the_same_version_again_is_not_better() -> None:
    candidate, _ = versions(np.random.default_rng(3), 50, 0.0)
    found = verdict(candidate, candidate)
    assert not found.passed
    assert found.kind == "not_shown"
    assert "not shown to be better" in found.reason


def test_the_reason_names_the_figures_it_rests_on() -> None:
    found = verdict(*versions(np.random.default_rng(4), 40, -0.1))
    for figure in (found.overall.candidate, found.overall.incumbent, found.overall.upper):
        assert f"{figure:.4f}" in found.reason
    assert "version 7" in found.reason
    assert "40 held-out conversations" in found.reason


def test_an_improvement_below_the_least_asked_for_is_rejected() -> None:
    candidate, incumbent = versions(np.random.default_rng(5), 100, -0.05, spread=0.01)
    assert verdict(candidate, incumbent, SETTINGS.model_copy(update={"min_improvement": 0.03})).passed
    found = verdict(candidate, incumbent, SETTINGS.model_copy(update={"min_improvement": 0.06}))
    assert not found.passed
    assert "0.06, which gate.min_improvement asks for" in found.reason


def test_a_judgement_can_be_repeated() -> None:
    pair = versions(np.random.default_rng(6), 20, -0.02)
    assert verdict(*pair) == verdict(*pair)


# Slices --------------------------------------------------------------------------------------------------------------


def joined(*parts: tuple[Likelihood, Likelihood]) -> tuple[Likelihood, Likelihood]:
    def join(column: int) -> Likelihood:
        return Likelihood(
            *(np.concatenate([getattr(p[column], f) for p in parts]) for f in ("nats_C", "tokens_C", "bytes_C"))
        )

    return join(0), join(1)


def test_a_regression_on_one_slice_stops_what_is_better_overall() -> None:
    generator = np.random.default_rng(7)
    pair = joined(versions(generator, 100, -0.3), versions(generator, 20, +0.1))
    found = sliced(*pair, ["chat"] * 100 + ["text"] * 20)
    assert found.overall.upper < 0
    assert not found.passed
    assert "'text'" in found.reason
    assert found.slices["chat"].passed
    assert found.slices["text"].passed is False
    assert found.slices["text"].difference == pytest.approx(0.1, abs=0.03)


def test_a_regression_within_the_tolerance_is_tolerated() -> None:
    generator = np.random.default_rng(8)
    pair = joined(versions(generator, 100, -0.3, 0.01), versions(generator, 20, +0.005, 0.01))
    assert sliced(*pair, ["chat"] * 100 + ["text"] * 20).passed


def test_a_slice_of_too_few_conversations_is_shown_but_not_judged() -> None:
    generator = np.random.default_rng(9)
    pair = joined(versions(generator, 100, -0.3), versions(generator, 3, +0.1))
    found = sliced(*pair, ["chat"] * 100 + ["text"] * 3)
    assert found.passed
    assert found.slices["text"].passed is None
    assert found.slices["text"].conversations == 3


def test_more_slices_ask_for_more_certainty() -> None:
    """Holm: the slice closest to failing among m is held against the whole of alpha, the best one against alpha / m."""
    generator = np.random.default_rng(10)
    parts = [versions(generator, 20, -0.1) for _ in range(4)]
    names = [name for name in "abcd" for _ in range(20)]
    found = sliced(*joined(*parts), names, by="source")
    levels = sorted(1 - part.confidence for part in found.slices.values())
    assert levels == pytest.approx([0.05 / 4, 0.05 / 3, 0.05 / 2, 0.05])
    assert found.passed


def test_a_slice_beyond_doubt_does_not_save_the_next() -> None:
    generator = np.random.default_rng(11)
    parts = [versions(generator, 30, change) for change in (-0.5, +0.2, -0.5, +0.3)]
    names = [name for name in "abcd" for _ in range(30)]
    found = sliced(*joined(*parts), names, by="source")
    assert {name: part.passed for name, part in found.slices.items()} == {"a": True, "b": False, "c": True, "d": False}


# The second look ------------------------------------------------------------------------------------------------------


def looked_twice(old: tuple[Likelihood, Likelihood], fresh: tuple[Likelihood, Likelihood]) -> Verdict:
    fresh_C = np.array([False] * len(old[0].nats_C) + [True] * len(fresh[0].nats_C))
    candidate, incumbent = (Results(each) for each in joined(old, fresh))
    return judge(candidate, incumbent, SETTINGS, "version 7", fresh_C=fresh_C)


def test_what_is_better_only_on_what_was_read_before_is_turned_down() -> None:
    generator = np.random.default_rng(20)
    found = looked_twice(versions(generator, 150, -0.3), versions(generator, 30, +0.1))
    assert found.overall.upper < 0
    assert (found.passed, found.kind) == (False, "part_worse")
    assert "worse on the 30 that no gate had read when version 7 was chosen: +0." in found.reason
    assert found.fresh.difference == pytest.approx(0.1, abs=0.03)


def test_fresh_ones_that_show_nothing_stop_nothing() -> None:
    generator = np.random.default_rng(21)
    assert looked_twice(versions(generator, 150, -0.3), versions(generator, 30, 0.0, spread=0.3)).passed
    few = looked_twice(versions(generator, 150, -0.3), versions(generator, 4, +0.1))
    assert (few.passed, few.fresh.conversations) == (True, 4)


def test_what_forgets_more_than_is_tolerated_is_turned_down() -> None:
    generator = np.random.default_rng(22)
    fresh = versions(generator, 150, -0.5)
    found = looked_twice(versions(generator, 60, +0.1), fresh)
    assert found.overall.upper < 0
    assert (found.passed, found.kind) == (False, "forgot")
    assert "it forgot: +0." in found.reason
    assert "on the 60 held out before, where +0.05 is tolerated (gate.max_forgetting)" in found.reason
    assert looked_twice(versions(generator, 60, +0.03), fresh).passed
    assert looked_twice(versions(generator, 4, +0.5), fresh).passed  # too few to tell


# Guarded sets and budgets ---------------------------------------------------------------------------------------------


def guarded(ours: list[float], theirs: list[float], tolerance: float) -> Verdict:
    """A candidate that is better on what was held out, and right or wrong on the rows of a labelled set."""
    candidate, incumbent = (Results(each) for each in versions(np.random.default_rng(23), 60, -0.3))
    terms = (Terms(np.array(each), np.ones(len(each))) for each in (ours, theirs))
    return judge(candidate, incumbent, SETTINGS, "version 7", sets=[GuardedSet("exam", ACCURACY, tolerance, *terms)])


def test_a_planted_regression_on_a_guarded_set_is_refused_with_its_name() -> None:
    right, wrong = [1.0] * 180 + [0.0] * 20, [1.0] * 140 + [0.0] * 60
    found = guarded(wrong, right, 0.05)
    assert (found.passed, found.kind) == (False, "part_worse")
    assert "'exam' may have become worse: changed by -0.2000 accuracy" in found.reason
    assert found.sets["exam"].difference == pytest.approx(-0.2)
    assert guarded(right, wrong, 0.0).passed
    assert guarded(right, right, 0.05).passed


@pytest.mark.parametrize("ours", [[1.0], [], [math.nan] * 30])
def test_a_guarded_set_that_cannot_be_judged_lets_nothing_pass(ours: list[float]) -> None:
    assert not guarded(ours, [0.5] * len(ours), 0.05).passed


def test_a_candidate_over_budget_is_refused_however_good_it_is() -> None:
    candidate, incumbent = (Results(each) for each in versions(np.random.default_rng(24), 60, -0.3))
    budgets = {"max_memory_megabytes": Budget(found=None, most=512.0, passed=False)}
    found = judge(candidate, incumbent, SETTINGS, "version 7", budgets=budgets)
    assert (found.passed, found.kind) == (False, "over_budget")
    assert "gate.max_memory_megabytes allows 512, and what the candidate takes could not be measured" in found.reason
    assert Verdict.model_validate_json(found.model_dump_json()) == found


# Fails closed ---------------------------------------------------------------------------------------------------------


def test_too_few_conversations_are_no_evidence() -> None:
    found = verdict(*versions(np.random.default_rng(12), 4, -1.0))
    assert not found.passed
    assert "only 4 held-out conversations" in found.reason
    assert "5" in found.reason


@pytest.mark.parametrize("count", [0, 1, 2])
def test_even_where_few_are_allowed_nothing_is_promoted_without_evidence(count: int) -> None:
    pair = versions(np.random.default_rng(13), count, -1.0)
    assert not verdict(*pair, GateSettings(bootstrap_resamples=500, min_conversations=1)).passed


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("whose", [0, 1])
def test_a_figure_that_is_no_number_is_a_rejection(bad: float, whose: int) -> None:
    pair = versions(np.random.default_rng(14), 30, -0.5)
    pair[whose].nats_C[17] = bad
    found = verdict(*pair)
    assert not found.passed
    assert "not a finite number" in found.reason
    assert "NaN" not in found.model_dump_json()
    assert Verdict.model_validate_json(found.model_dump_json()) == found


def test_conversations_without_a_byte_are_a_rejection() -> None:
    nothing = Likelihood(np.ones(10), np.ones(10), np.zeros(10))
    assert not verdict(nothing, nothing).passed

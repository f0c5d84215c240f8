"""The measures of the registry, by hand; and one more, added as `docs/development/extending.md` says."""

import math

import numpy as np
import pytest

from engine.config.evaluation import GateSettings
from engine.evaluation.gate import judge
from engine.evaluation.likelihood import Floats, Likelihood
from engine.evaluation.measures import registry
from engine.evaluation.measures.bits_per_byte import BITS_PER_BYTE
from engine.evaluation.measures.perplexity import PERPLEXITY
from engine.evaluation.measures.registry import MEASURES
from engine.evaluation.policy import Guard, Policy
from engine.evaluation.results import Results
from engine.evaluation.slice_figures import slice_figures
from examples.measure import GUESSABLE


def test_values_are_ratios_of_sums() -> None:
    found = registry.values(Results(Likelihood(np.array([10.0, 2.0]), np.array([4.0, 1.0]), np.array([20.0, 3.0]))))
    assert found["loss"] == pytest.approx(12 / 5)
    assert found["perplexity"] == pytest.approx(math.exp(12 / 5))
    assert found["bits_per_byte"] == pytest.approx(12 / math.log(2) / 23)


def test_only_what_is_a_number_becomes_a_value() -> None:
    unscored = Likelihood(np.array([1e6]), np.array([1.0]), np.array([0.0]))
    found = registry.values(Results(unscored))
    assert found["loss"] == 1e6
    assert not {"perplexity", "bits_per_byte"} & found.keys()
    assert unscored.counts == {"conversations": 1.0, "scored_tokens": 1.0, "bytes": 0.0}


def test_samples_of_other_kinds_are_left_out() -> None:
    mixed = Results(
        Likelihood(np.array([math.log(2), 100.0]), np.ones(2), np.ones(2)), {"kind": np.array(["chat", "preference"])}
    )
    assert BITS_PER_BYTE.value(mixed) == pytest.approx(1.0)


def test_the_gate_does_not_compare_by_what_is_no_ratio() -> None:
    results = Results(Likelihood(np.ones(9), np.ones(9), np.ones(9)))
    with pytest.raises(ValueError, match="perplexity"):
        judge(results, results, GateSettings(bootstrap_resamples=10), "version 1", Policy(PERPLEXITY.name, ()))


# A measure more ------------------------------------------------------------------------------------------------------


@pytest.fixture
def guessable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MEASURES, GUESSABLE.name, GUESSABLE)  # what its lines in the registry do


def results(nats_C: Floats) -> Results:
    sizes = np.ones(len(nats_C))
    kinds = np.array(["chat", "text"] * (len(nats_C) // 2))
    return Results(Likelihood(nats_C, sizes, sizes), {"kind": kinds, "source": kinds})


GOOD, BAD = results(np.linspace(0.205, 1.195, 100)), results(np.linspace(0.81, 2.79, 100))
"""Of the first 80 cost less than a nat, of the second 10; chats and texts take turns."""


@pytest.mark.usefixtures("guessable")
def test_a_new_measure_is_computed_over_everything_and_every_slice() -> None:
    assert registry.values(GOOD)["guessable"] == pytest.approx(80 / 100)
    found = slice_figures(GOOD, BAD)
    assert found["kind"]["text"].samples == 50
    assert found["kind"]["text"].candidate["guessable"] == pytest.approx(40 / 50)
    assert found["source"]["chat"].incumbent["guessable"] == pytest.approx(5 / 50)
    assert found["task"] == {}


@pytest.mark.usefixtures("guessable")
def test_a_policy_asks_a_new_measure_by_its_name_and_higher_is_better() -> None:
    policy = Policy("guessable", (Guard("bits_per_byte", "kind"), Guard("guessable", "kind", tolerance=0.1)))
    settings = GateSettings(bootstrap_resamples=500)
    better, worse = (judge(*pair, settings, "version 1", policy) for pair in ((GOOD, BAD), (BAD, GOOD)))
    assert better.passed, better.reason
    assert "0.8000 of all conversations against 0.1000" in better.reason
    assert f"no less than {better.overall.lower:+.4f}" in better.reason
    assert better.overall.lower > 0.5
    assert better.slices.keys() == {"chat", "text", "chat: bits_per_byte", "text: bits_per_byte"}
    assert worse.kind == "worse"
    assert worse.overall.difference == pytest.approx(-0.7)
    assert worse.overall.lower < worse.overall.upper < 0


@pytest.mark.usefixtures("guessable")
def test_a_slice_that_falls_by_a_new_measure_stops_a_candidate() -> None:
    fell = results(np.array([0.1, 1.5] * 20))
    was = results(np.array([2.0, 0.9] * 20))
    policy = Policy("bits_per_byte", (Guard("guessable", "kind", tolerance=0.1),))
    found = judge(fell, was, GateSettings(bootstrap_resamples=500), "version 1", policy)
    assert found.kind == "part_worse"
    assert "'text: guessable' may have become worse: changed by -1.0000 of all conversations" in found.reason
    assert "where -0.1 is tolerated" in found.reason

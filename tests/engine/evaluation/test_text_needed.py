"""What a first version is told that did not beat the baseline."""

import numpy as np
import pytest

from engine.config.evaluation import GateSettings
from engine.evaluation import text_needed
from engine.evaluation.gate import Verdict, judge
from engine.evaluation.likelihood import Likelihood
from engine.evaluation.results import Results


def verdict(change: float) -> Verdict:
    sizes, generator = np.full(30, 400.0), np.random.default_rng(0)
    nats = generator.normal(600, 40, 30)
    other = nats + change * np.log(2) * sizes + generator.normal(0, 5, 30)
    candidate, incumbent = (Results(Likelihood(values, sizes / 4, sizes)) for values in (other, nats))
    return judge(candidate, incumbent, GateSettings(bootstrap_resamples=500), "the unigram baseline")


def test_the_further_behind_the_more_text_is_needed() -> None:
    near, far = verdict(0.01), verdict(0.5)
    assert text_needed.bytes_needed(10_000, near) == 20_000
    assert text_needed.bytes_needed(10_000, far) == pytest.approx(10_000 * 10 ** (far.overall.upper / 0.5), rel=0.01)
    assert "it had 10 KB of text" in text_needed.advice(10_000, far)
    assert "0.1 MB are needed" in text_needed.advice(10_000, far)
    assert "thorctl import starter" in text_needed.advice(10_000, far)


def test_what_passed_needs_no_advice() -> None:
    assert text_needed.advice(10_000, verdict(-0.5)) == ""

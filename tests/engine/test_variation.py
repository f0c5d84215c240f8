"""No attempt is the same as one that came to nothing."""

import typing

from hypothesis import given
from hypothesis import strategies as st

from engine import variation
from engine.config.training import TrainingSettings
from engine.variation import Ending, Variation

ENDINGS = typing.get_args(Ending)


@given(st.lists(st.sampled_from(ENDINGS), max_size=6), st.booleans(), st.booleans(), st.booleans())
def test_every_attempt_differs_and_what_is_set_is_kept(endings, first, rate_is_set, length_is_set) -> None:
    rate = 1e-3 if rate_is_set else None
    settings = TrainingSettings(learning_rate=rate, epochs=2.0 if length_is_set else None)
    attempts = [variation.after(endings[:tries], settings, first=first) for tries in range(len(endings) + 1)]
    assert attempts[0] == Variation()
    assert len({attempt.seed for attempt in attempts}) == len(attempts)
    assert all(attempt.words for attempt in attempts[1:])
    if rate_is_set:
        assert {attempt.rate for attempt in attempts} == {1.0}
    if length_is_set:
        assert {attempt.length for attempt in attempts} == {1.0}


def test_what_was_worse_is_tried_at_a_lower_rate_and_what_was_undecided_for_longer() -> None:
    settings = TrainingSettings()
    assert variation.after(["worse", "not_shown"], settings, first=False) == Variation(rate=0.5, length=1.5, seed=2)
    assert variation.after(["diverged"], settings, first=True).rate == 0.25
    assert variation.after(["worse"], settings, first=True) == Variation(rate=1.0, length=2.0, seed=1)
    words = "half the learning rate, one and a half times as long, another seed"
    assert variation.after(["worse", "not_shown"], settings, first=False).words == words

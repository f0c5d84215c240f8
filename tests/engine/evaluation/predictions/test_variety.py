"""Distinct n-grams and repetition, counted by hand."""

import pytest

from engine.evaluation.predictions.variety import distinct, repetition


def test_distinct_is_over_all_texts_together() -> None:
    assert distinct(["a b a", "a c"], 1) == pytest.approx(3 / 5)
    assert distinct(["a b a", "a b"], 2) == pytest.approx(2 / 3)
    assert distinct(["Да да", "нет"], 1) == pytest.approx(2 / 3)
    assert distinct(["", "one"], 2) == 0


def test_repetition_is_the_share_of_four_words_said_before() -> None:
    assert repetition("one two three four five") == 0
    assert repetition("one two three") == 0
    assert repetition("la " * 13) == pytest.approx(9 / 10)
    assert repetition("好好好好好") == pytest.approx(1 / 2)

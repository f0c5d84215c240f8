"""Error analysis on figures that are made up, so that every answer is known."""

import math

import numpy as np
import pytest

from engine.data.samples import Dialogue, Message, Text
from engine.evaluation.likelihood import Likelihood
from engine.reports.analysis import analyse
from engine.reports.scripts import script_of


def likelihood(bits_per_byte: list[float], size: float = 10.0) -> Likelihood:
    sizes = np.full(len(bits_per_byte), size)
    return Likelihood(np.array(bits_per_byte) * sizes * math.log(2), sizes, sizes)


CHATS = [Dialogue((Message("user", f"q{n}"), Message("assistant", f"answer {n}"))) for n in range(4)]


def test_what_was_won_and_lost_is_in_order() -> None:
    found = analyse(CHATS, ["a", "a", "b", "b"], likelihood([1.0, 3.0, 2.0, 2.0]), likelihood([2.0, 2.0, 2.0, 2.5]))
    assert (found.better, found.worse) == (2, 1)
    assert [one.prompt for one in found.won] == ["q0", "q3"]
    assert [one.answer for one in found.lost] == ["answer 1"]
    assert [one.prompt for one in found.worst] == ["q1", "q2", "q3", "q0"]
    assert found.differences == pytest.approx([-1.0, -0.5, 0.0, 1.0])
    assert (found.candidate, found.incumbent) == (pytest.approx(2.0), pytest.approx(2.125))
    assert sum(found.candidate_counts) == sum(found.incumbent_counts) == 4
    by_file = {one.name: (one.candidate, one.incumbent) for one in found.slices if one.by == "source"}
    assert by_file == {"a": pytest.approx((2.0, 2.0)), "b": pytest.approx((2.0, 2.25))}


def test_one_version_alone_is_looked_at_too() -> None:
    found = analyse([Text("only text")], [""], likelihood([1.0]), None)
    assert (found.incumbent, found.won, found.differences) == (None, [], [])
    assert found.worst[0].answer == "only text"


def test_an_analysis_stays_small() -> None:
    many = [Text("long " * 1000)] * 3000
    found = analyse(many, [f"f{n}" for n in range(3000)], likelihood([1.0] * 3000), likelihood([2.0] * 3000))
    assert len(found.differences) <= 300
    assert len(found.slices) < 60
    assert all(len(one.answer) <= 600 for one in found.worst)


@pytest.mark.parametrize(
    ("text", "script"),
    [("Hello, world", "latin"), ("Привет мир", "cyrillic"), ("你好", "cjk"), ("שלום", "hebrew"), ("12 + 3", "none")],
)
def test_the_script_is_that_of_most_letters(text: str, script: str) -> None:
    assert script_of(text) == script

"""The guard's table, row by row."""

import math

import pytest

from engine.training.guard import MAX_ROLL_BACKS, Health, judge


def settled():
    health = Health()
    for number in range(40):
        action, health = judge(health, 3.0 + 0.1 * (-1) ** number, 1.0, 3)
        assert action == "take"
    return health


@pytest.mark.parametrize("figures", [(math.nan, 1.0), (math.inf, 1.0), (2.0, math.nan), (2.0, math.inf), (20.0, 1.0)])
def test_a_bad_step_is_skipped_and_a_row_of_them_rolled_back(figures) -> None:
    health, actions = settled(), []
    for _ in range(3):
        action, health = judge(health, *figures, 3)
        actions.append(action)
    assert actions == ["skip", "skip", "roll back"]


def test_roll_backs_are_bounded() -> None:
    health, actions = settled(), []
    while "give up" not in actions:
        action, health = judge(health, math.nan, 1.0, 2)
        actions.append(action)
    assert actions == ["skip", "roll back"] * MAX_ROLL_BACKS + ["skip", "give up"]


def test_a_sane_step_ends_a_row_of_bad_ones() -> None:
    _, health = judge(settled(), math.nan, 1.0, 3)
    action, health = judge(health, 3.0, 1.0, 3)
    assert (action, health.bad) == ("take", 0)


def test_noise_and_falling_loss_are_no_spike() -> None:
    health = Health()
    for number in range(300):
        loss = 8.0 * math.exp(-number / 60) + 0.5 + (0.4 if number % 7 == 0 else 0.0)
        action, health = judge(health, loss, 1.0, 3)
        assert action == "take"


def test_a_beginning_may_be_wild() -> None:
    health = Health()
    for loss in (9.0, 3.0, 12.0, 5.0):
        action, health = judge(health, loss, 50.0, 3)
        assert action == "take"

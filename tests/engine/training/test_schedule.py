"""Schedules against their closed form."""

import pytest
import torch
from torch import nn

from engine.config.training import TrainingSettings
from engine.training.schedule import branches_at, learning_rate

PEAK = 4e-4


def rates(steps, **settings):
    given = TrainingSettings(learning_rate=PEAK, **settings)
    return [learning_rate(step, steps, given) for step in range(steps)]


def test_warm_up_rises_in_equal_steps_to_the_peak() -> None:
    assert rates(100, warmup_share=0.1, schedule="constant")[:11] == pytest.approx(
        [PEAK * n / 10 for n in range(1, 11)] + [PEAK]
    )


def test_constant_stays() -> None:
    assert set(rates(50, warmup_share=0.0, schedule="constant")) == {PEAK}


def test_linear_falls_in_equal_steps_to_the_final_share() -> None:
    found = rates(101, warmup_share=0.0, schedule="linear", final_share=0.2)
    assert found == pytest.approx([PEAK * (1 - 0.8 * n / 100) for n in range(101)])


def test_cosine_equals_that_of_torch() -> None:
    weight = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=PEAK)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=40, eta_min=PEAK * 0.1)
    expected = []
    for _ in range(41):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        theirs.step()
    assert rates(41, warmup_share=0.0, schedule="cosine", final_share=0.1) == pytest.approx(expected)


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine", "wsd"])
@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize("warmup_share", [0.0, 0.5, 1.0])
def test_short_runs_have_sane_rates(schedule: str, steps: int, warmup_share: float) -> None:
    assert all(0 < rate <= PEAK for rate in rates(steps, schedule=schedule, warmup_share=warmup_share))


def test_wsd_stays_at_the_peak_and_then_falls_in_equal_steps() -> None:
    found = rates(101, warmup_share=0.1, schedule="wsd", decay_share=0.2, final_share=0.0)
    assert found[11:80] == [PEAK] * 69
    settings = TrainingSettings(warmup_share=0.1, schedule="wsd", decay_share=0.2)
    assert branches_at(101, settings) == 79
    assert branches_at(101, settings.model_copy(update={"schedule": "cosine"})) is None
    assert found[79:] == pytest.approx([PEAK * (1 - n / 21) for n in range(22)])


def test_wsd_up_to_where_it_decays_does_not_depend_on_how_it_ends() -> None:
    short, long = (rates(100, warmup_share=0.1, schedule="wsd", decay_share=share) for share in (0.5, 0.1))
    assert short[:49] == long[:49]

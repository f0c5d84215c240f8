"""Schedules against their closed form, and optimizer state by name."""

import pytest
import torch
from torch import nn

from engine.config import TrainingSettings
from engine.training import optim

PEAK = 4e-4


def rates(steps, **settings):
    given = TrainingSettings(learning_rate=PEAK, **settings)
    return [optim.learning_rate(step, steps, given) for step in range(steps)]


def test_warm_up_rises_in_equal_steps_to_the_peak():
    assert rates(100, warmup_share=0.1, schedule="constant")[:11] == pytest.approx(
        [PEAK * n / 10 for n in range(1, 11)] + [PEAK]
    )


def test_constant_stays():
    assert set(rates(50, warmup_share=0.0, schedule="constant")) == {PEAK}


def test_linear_falls_in_equal_steps_to_the_final_share():
    found = rates(101, warmup_share=0.0, schedule="linear", final_share=0.2)
    assert found == pytest.approx([PEAK * (1 - 0.8 * n / 100) for n in range(101)])


def test_cosine_equals_that_of_torch():
    weight = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=PEAK)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=40, eta_min=PEAK * 0.1)
    expected = []
    for _ in range(41):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        theirs.step()
    assert rates(41, warmup_share=0.0, schedule="cosine", final_share=0.1) == pytest.approx(expected)


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize("warmup_share", [0.0, 0.5, 1.0])
def test_short_runs_have_sane_rates(schedule, steps, warmup_share):
    assert all(0 < rate <= PEAK for rate in rates(steps, schedule=schedule, warmup_share=warmup_share))


def small_model():
    torch.manual_seed(0)
    return nn.Sequential(nn.LayerNorm(4), nn.Linear(4, 3), nn.Linear(3, 2))


def steps(model, step, count, first=0):
    for number in range(first, first + count):
        model.zero_grad()
        model(torch.full((2, 4), float(number)).cumsum(1)).square().sum().backward()
        step()


def test_it_is_the_adamw_of_torch_with_decay_in_matrices_only():
    settings = TrainingSettings(learning_rate=1e-2, weight_decay=0.3)
    ours, theirs = small_model(), small_model()
    optimizer = optim.AdamW(ours, settings)
    matrices = {"params": [w for w in theirs.parameters() if w.ndim == 2], "weight_decay": 0.3}
    others = {"params": [w for w in theirs.parameters() if w.ndim == 1], "weight_decay": 0.0}
    reference = torch.optim.AdamW([matrices, others], lr=1e-2, betas=(settings.beta1, settings.beta2))
    steps(ours, lambda: optimizer.step(1e-2), 5)
    steps(theirs, reference.step, 5)
    for one, two in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one, two, atol=1e-7, rtol=1e-6)


def test_restored_it_goes_on_bit_for_bit():
    settings = TrainingSettings()
    whole, other = small_model(), small_model()
    first, second = optim.AdamW(whole, settings), optim.AdamW(other, settings)
    steps(whole, lambda: first.step(1e-2), 3)
    other.load_state_dict(whole.state_dict())
    second.restore({name: tensor.clone() for name, tensor in first.state().items()})
    steps(whole, lambda: first.step(1e-2), 2, first=3)
    steps(other, lambda: second.step(1e-2), 2, first=3)
    assert all(torch.equal(one, two) for one, two in zip(whole.parameters(), other.parameters(), strict=True))


def test_a_weight_without_a_gradient_stays():
    model = small_model()
    optimizer = optim.AdamW(model, TrainingSettings())
    optimizer.step(1e-2)
    assert all(torch.equal(one, two) for one, two in zip(model.parameters(), small_model().parameters(), strict=True))

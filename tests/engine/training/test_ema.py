"""The moving average of weights against its definition."""

import pytest
import torch
from torch import nn

from engine.training.ema import Average, averages_in


def drift(model, average, steps):
    """Weights that move by one each step, and what their average should be."""
    expected = {name: weight.detach().double().clone() for name, weight in model.named_parameters()}
    for step in steps:
        for name, weight in model.named_parameters():
            weight.data += 1
            decay = min(0.9, (1 + step) / (10 + step))
            expected[name] = decay * expected[name] + (1 - decay) * weight.detach().double()
        average.follow(step)
    return expected


def test_it_is_the_average_and_the_weights_stay() -> None:
    model = nn.Linear(3, 2)
    average = Average(dict(model.named_parameters()), 0.9)
    expected = drift(model, average, range(200))
    last = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    kept = averages_in(average.state() | {"mean.weight": torch.zeros(1)})
    found = {name: value.clone() for name, value in kept.items()}  # in place, the kept ones hold the weights
    assert found.keys() == expected.keys()
    for name, value in found.items():
        torch.testing.assert_close(value, expected[name].float())
        assert torch.allclose(last[name] - value, torch.tensor(9.0), atol=0.01)  # it lags by d / (1 - d)
    with average.in_place():
        assert all(torch.equal(weight, found[name]) for name, weight in model.named_parameters())
    assert all(torch.equal(weight, last[name]) for name, weight in model.named_parameters())
    with pytest.raises(ZeroDivisionError), average.in_place():
        _ = 1 / 0
    assert all(torch.equal(weight, last[name]) for name, weight in model.named_parameters())


def test_restored_it_goes_on() -> None:
    one, two = nn.Linear(3, 2), nn.Linear(3, 2)
    first, second = Average(dict(one.named_parameters()), 0.9), Average(dict(two.named_parameters()), 0.9)
    drift(one, first, range(5))
    two.load_state_dict(one.state_dict())
    second.restore({name: tensor.clone() for name, tensor in first.state().items()})
    for model, average in ((one, first), (two, second)):
        drift(model, average, range(5, 8))
    assert all(torch.equal(first.state()[name], tensor) for name, tensor in second.state().items())


def test_without_decay_there_is_none() -> None:
    assert Average(dict(nn.Linear(3, 2).named_parameters()), 0.0).state() == {}

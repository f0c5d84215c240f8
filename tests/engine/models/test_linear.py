"""Several maps of one input are computed as each alone would be."""

import pytest
import torch
from torch import Tensor

from engine.models.linear import Linear, LinearMap, of_one


def maps(*, biased: bool) -> list[LinearMap]:
    generator = torch.Generator().manual_seed(1)
    made = [Linear(12, outputs, bias=biased) for outputs in (5, 8, 8)]
    for each in made:
        for weight in each.parameters():
            torch.nn.init.normal_(weight, generator=generator)
    return made


def backward(made: list[LinearMap], x: Tensor, outs: tuple[Tensor, ...]) -> list[Tensor]:
    """The gradients of the input and of all weights, each output being wanted differently."""
    wanted = [weight for each in made for weight in each.parameters()]
    scale = sum(((number + 1) * out.square().sum() for number, out in enumerate(outs)), torch.zeros(()))
    return list(torch.autograd.grad(scale, [x, *wanted]))


@pytest.mark.parametrize("biased", [False, True])
def test_values_and_gradients_are_those_of_each_map_alone(biased: bool) -> None:
    made = maps(biased=biased)
    x = torch.randn(2, 3, 12, generator=torch.Generator().manual_seed(2), requires_grad=True)
    together, apart = of_one(x, *made), tuple(each(x) for each in made)
    for ours, alone in zip(together, apart, strict=True):
        assert torch.equal(ours, alone)
    for ours, alone in zip(backward(made, x, together), backward(made, x, apart), strict=True):
        torch.testing.assert_close(ours, alone, rtol=1e-5, atol=1e-4)


def test_a_frozen_map_gets_no_gradient() -> None:
    made = maps(biased=False)
    made[0].requires_grad_(False)
    x = torch.randn(3, 12, requires_grad=True)
    sum(out.sum() for out in of_one(x, *made)).backward()
    assert made[0].weight.grad is None
    torch.testing.assert_close(x.grad, sum(each.weight.detach().sum(0) for each in made).expand(3, 12))

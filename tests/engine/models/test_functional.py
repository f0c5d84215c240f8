"""Tables, looked up and scored, against torch's own gradients: float32 to the bit, bf16 to its rounding."""

import pytest
import torch
import torch.nn.functional as F
from torch.nn import Parameter

from engine.models import functional

ROWS, WIDTH = 2 * functional._HEAD_ROWS + 77, 24


def draw(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.fixture
def weight():
    return Parameter(draw(ROWS, WIDTH))


def of_torch(weight, compute):
    """What ``compute`` comes to, and its gradient, with a plain tensor in the place of the weight."""
    plain = weight.detach().clone().requires_grad_()
    out = compute(plain)
    out.backward(draw(*out.shape).to(out.dtype))
    return out, plain.grad


@pytest.mark.parametrize("times", [1, 2])
def test_scores_in_float32(weight, times: int) -> None:
    x, other = (draw(40, WIDTH).requires_grad_() for _ in range(2))
    for _ in range(times):
        x.grad = None
        out = functional.scores(x, weight)
        out.backward(draw(*out.shape))
    expected, gradient = of_torch(weight, lambda plain: F.linear(other, plain))
    assert torch.equal(out, expected)
    torch.testing.assert_close(weight.grad, times * gradient, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(x.grad, other.grad, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("backward_in_autocast", [True, False])
def test_scores_under_autocast(weight, backward_in_autocast: bool) -> None:
    x, other = (draw(40, WIDTH).requires_grad_() for _ in range(2))
    with torch.autocast("cpu", torch.bfloat16):
        out = functional.scores(x, weight)
        upstream = draw(*out.shape).bfloat16()
        if backward_in_autocast:
            out.backward(upstream)
    if not backward_in_autocast:
        out.backward(upstream)
    with torch.autocast("cpu", torch.bfloat16):
        expected, gradient = of_torch(weight, lambda plain: F.linear(other, plain))
    assert out.dtype == torch.bfloat16
    assert torch.equal(out, expected)
    assert weight.grad.dtype == torch.float32
    torch.testing.assert_close(weight.grad, gradient, rtol=2**-7, atol=2**-7)
    torch.testing.assert_close(x.grad, other.grad, rtol=2**-7, atol=1.0)  # sums of 16,000 products


@pytest.mark.parametrize("has_gradient", [True, False])
def test_the_gradient_of_rows_looked_up_is_added_to_the_one_that_is_there(weight, has_gradient: bool) -> None:
    ids_BT = torch.tensor([[0, 5, 5, ROWS - 1], [5, 9, 0, 0]])
    before = draw(ROWS, WIDTH) if has_gradient else torch.zeros(ROWS, WIDTH)
    weight.grad = before.clone() if has_gradient else None
    out = functional.embedding(ids_BT, weight)
    out.backward(draw(*out.shape))
    expected, gradient = of_torch(weight, lambda plain: F.embedding(ids_BT, plain))
    assert torch.equal(out, expected)
    assert weight.grad.layout == torch.strided
    assert torch.equal(weight.grad, before + gradient)


def test_a_tied_table_in_one_graph(weight) -> None:
    ids_T = torch.tensor([3, 3, 4])

    def compute(table):
        return functional.scores(functional.embedding(ids_T, table), table)

    compute(weight).backward(draw(3, ROWS))
    _, gradient = of_torch(weight, lambda plain: F.linear(F.embedding(ids_T, plain), plain))
    torch.testing.assert_close(weight.grad, gradient, rtol=1e-4, atol=1e-3)


def test_nothing_is_kept_where_nothing_is_learned(weight) -> None:
    with torch.no_grad():
        assert functional.scores(draw(2, WIDTH), weight).grad_fn is None
    frozen = Parameter(draw(ROWS, WIDTH), requires_grad=False)
    assert functional.embedding(torch.tensor([1]), frozen).grad_fn is None


def test_scores_in_bf16_are_told_apart_where_bf16_cannot() -> None:
    weight, x = draw(1100, WIDTH).bfloat16(), draw(3, WIDTH).bfloat16()
    weight[7] = weight[600]
    weight[7, 0] += 2**-6 * weight[7, 0].abs().clamp(min=0.5)
    with torch.no_grad():
        scores = functional.scores(x, weight)
    torch.testing.assert_close(scores, x.float() @ weight.float().t())
    assert ((scores[:, 7] > scores[:, 600]) == (x[:, 0] > 0)).all()

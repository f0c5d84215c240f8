"""Attention of whole rows, and its gradients, equal those in float64, wherever heads lie and whatever their company."""

import math

import pytest
import torch
from torch import Tensor

from engine.native.library import Kernel
from tests.engine import kernels


@pytest.fixture(scope="module", params=kernels.BUILT or [None], ids=str)
def kernel(request: pytest.FixtureRequest) -> Kernel:
    if request.param is None:
        pytest.skip(f"{kernels.NONE}; its attention is not tested")
    return kernels.of(request.param)


def draw(rows: int, heads: int, positions: int, width: int, *, seed: int = 0) -> Tensor:
    """Heads as projections make them: in memory [B, T, H, E], and of a larger matrix only some columns."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, positions, heads + 1, width, generator=generator)[:, :, 1:].transpose(1, 2)


def begins_of(rows: int, positions: int, window: int = 0) -> Tensor:
    """Documents of other lengths in each row, and of what a position sees no more than ``window``."""
    at = torch.arange(positions)
    begins = torch.stack([at // (5 + 20 * row) * (5 + 20 * row) for row in range(rows)])
    return torch.maximum(begins, at - window + 1) if window else begins


def exactly(given: list[Tensor], begins_BT: Tensor, gradient: Tensor) -> list[Tensor]:
    """What attention makes, and its gradients, in float64."""
    q, k, v = exact = [each.double().requires_grad_() for each in given]
    k, v = (each.repeat_interleave(q.shape[1] // k.shape[1], 1) for each in (k, v))
    at = torch.arange(q.shape[2])
    seen = ((at >= begins_BT[:, :, None]) & (at <= at[:, None]))[:, None]
    scores = (q @ k.transpose(2, 3) / math.sqrt(q.shape[3])).masked_fill(~seen, -math.inf)
    out = scores.softmax(-1) @ v
    out.backward(gradient.double())
    return [out.detach(), *(each.grad for each in exact)]


def by(kernel: Kernel, given: list[Tensor], begins_BT: Tensor, gradient: Tensor) -> list[Tensor]:
    """The same by the kernel."""
    out, *gradients = (torch.full_like(each, math.nan) for each in (given[0], *given))
    kernel.attend(*given, begins_BT, out)
    kernel.attend_backward(gradient, given, begins_BT, gradients)
    return [out, *gradients]


@pytest.mark.parametrize("positions", [1, 15, 48, 49, 131])
@pytest.mark.parametrize(("heads", "kv_heads", "width"), [(2, 2, 8), (6, 2, 20), (3, 1, 64)])
@pytest.mark.parametrize("window", [0, 7, 60])
def test_values_and_gradients(
    kernel: Kernel, positions: int, heads: int, kv_heads: int, width: int, window: int
) -> None:
    given = [draw(2, each, positions, width, seed=each) for each in (heads, kv_heads, kv_heads)]
    gradient, begins_BT = draw(2, heads, positions, width, seed=9), begins_of(2, positions, window)
    expected = exactly(given, begins_BT, gradient)
    for ours, exact in zip(by(kernel, given, begins_BT, gradient), expected, strict=True):
        torch.testing.assert_close(ours.double(), exact, rtol=1e-5, atol=1e-5)


def test_a_row_and_a_document_come_out_alike_in_any_company_and_by_any_number_of_threads(kernel: Kernel) -> None:
    given, gradient = [draw(3, each, 96, 16, seed=each) for each in (4, 2, 2)], draw(3, 4, 96, 16, seed=9)
    begins_BT = torch.tensor([[0] * 48 + [48] * 48] * 3)
    threads = torch.get_num_threads()
    together = by(kernel, given, begins_BT, gradient)
    try:
        torch.set_num_threads(1)
        row = by(kernel, [each[1:2] for each in given], begins_BT[1:2], gradient[1:2])
    finally:
        torch.set_num_threads(threads)
    alone = by(kernel, [each[1:2, :, 48:] for each in given], begins_BT[1:2, :48] * 0, gradient[1:2, :, 48:])
    for one, two, three in zip(together, row, alone, strict=True):
        assert torch.equal(one[1:2], two)
        assert torch.equal(one[1:2, :, 48:], three)

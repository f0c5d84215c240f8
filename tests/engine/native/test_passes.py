"""The passes of training over large tensors equal torch's own in float64, wherever a number lies."""

import pytest
import torch
import torch.nn.functional as F

from engine.native import library

SIZES = (1, 15, 16, 17, 4099, 2 * (1 << 14) + 5)  # the last is shared among threads
TYPES = (torch.float32, torch.bfloat16)


@pytest.fixture(scope="module")
def kernel():
    found = library.kernel()
    if found is None:
        pytest.skip("NO KERNEL: python -m engine.native.build says why; its passes are not tested")
    return found


def close(found, exact, dtype):
    """To a unit or so in the last place of the type: what is exact is rounded to it too."""
    tolerance = {torch.float32: 3e-7, torch.bfloat16: 2**-8}[dtype]
    torch.testing.assert_close(found.double(), exact, rtol=tolerance, atol=tolerance / 4)


def numbers(*shape, dtype, spread=3.0):
    generator = torch.Generator().manual_seed(sum(shape))
    return (torch.randn(*shape, generator=generator) * spread).to(dtype)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("size", SIZES)
def test_gelu_and_its_gradient(kernel, size, dtype):
    def by_torch(dtype):
        of = x.to(dtype, copy=True).requires_grad_()
        value = F.gelu(of, approximate="tanh")
        value.backward(gradient.to(dtype))
        return value.detach().double(), of.grad.double()

    x, gradient = numbers(size, dtype=dtype), numbers(size, dtype=dtype, spread=1.0)
    found = kernel.gelu(x), kernel.gelu_backward(gradient, x)
    for ours, torchs, exact in zip(found, by_torch(dtype), by_torch(torch.float64), strict=True):
        least = 4 * torch.finfo(dtype).eps
        assert (ours.double() - exact).abs().max() <= max(2 * (torchs - exact).abs().max(), least)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("size", SIZES)
def test_the_gate_of_swiglu_and_its_gradients(kernel, size, dtype):
    def by_torch(dtype):
        one, two = (part.to(dtype, copy=True).requires_grad_() for part in (gate, other))
        value = F.silu(one) * two
        value.backward(gradient.to(dtype))
        return value.detach().double(), one.grad.double(), two.grad.double()

    gate, other = numbers(size, dtype=dtype), numbers(size + 1, dtype=dtype)[1:].clone()
    gradient = numbers(size, dtype=dtype, spread=1.0)
    found = kernel.gated(gate, other), *kernel.gated_backward(gradient, gate, other)
    for ours, torchs, exact in zip(found, by_torch(dtype), by_torch(torch.float64), strict=True):
        least = 16 * torch.finfo(dtype).eps  # of values up to a hundred
        assert (ours.double() - exact).abs().max() <= max(2 * (torchs - exact).abs().max(), least)


@pytest.mark.parametrize("dtype", TYPES)
def test_gates_far_open_and_far_shut(kernel, dtype):
    gate, ones = torch.tensor([-1e4, -100.0, 0.0, 100.0, 1e4], dtype=dtype), torch.ones(5, dtype=dtype)
    by_gate, by_other = kernel.gated_backward(ones, gate, ones)
    torch.testing.assert_close(kernel.gated(gate, ones), gate.clamp(min=0), atol=1e-20, rtol=0)
    torch.testing.assert_close(by_gate, torch.tensor([0, 0, 0.5, 1, 1], dtype=dtype), atol=1e-20, rtol=0)
    torch.testing.assert_close(by_other, gate.clamp(min=0), atol=1e-20, rtol=0)


@pytest.mark.parametrize("dtype", TYPES)
def test_gelu_at_the_ends(kernel, dtype):
    x = torch.tensor([-1e4, -100.0, -0.0, 0.0, 100.0, 1e4], dtype=dtype)
    slopes = kernel.gelu_backward(torch.ones_like(x), x)
    torch.testing.assert_close(kernel.gelu(x), x.clamp(min=0), atol=1e-20, rtol=0)
    torch.testing.assert_close(slopes, torch.tensor([0, 0, 0.5, 0.5, 1, 1], dtype=dtype), atol=1e-20, rtol=0)
    assert kernel.gelu(torch.tensor([float("nan")], dtype=dtype)).isnan().all()


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("vocabulary", [3, 16, 257, 8192, 50257])
def test_cross_entropy_and_its_gradient(kernel, vocabulary, smoothing, dtype):
    scores_NV = numbers(5, vocabulary, dtype=dtype)
    targets_N = torch.tensor([0, vocabulary - 1, 1, vocabulary // 2, 2])
    exact_NV = scores_NV.double().requires_grad_()
    losses_N = F.cross_entropy(exact_NV, targets_N, reduction="none", label_smoothing=smoothing)
    (0.25 * losses_N.sum()).backward()
    found_N = kernel.cross_entropy(scores_NV, targets_N, smoothing, 0.25)
    torch.testing.assert_close(found_N.double(), losses_N.detach(), rtol=1e-5, atol=1e-5)
    close(scores_NV, exact_NV.grad, dtype)


def test_cross_entropy_of_scores_far_apart_and_of_no_numbers(kernel):
    scores_NV = torch.tensor([[3e4, -3e4, 0.0], [0.0, float("nan"), 1.0], [0.0, float("inf"), 1.0]])
    losses_N = kernel.cross_entropy(scores_NV, torch.tensor([1, 0, 0]), 0.0, 1.0)
    assert losses_N[0] == 6e4
    torch.testing.assert_close(scores_NV[0], torch.tensor([1.0, -1.0, 0.0]), atol=1e-30, rtol=0)
    assert losses_N[1:].isnan().all(), "the guard of the loop must see them"


@pytest.mark.parametrize("target", [-1, 3])
def test_a_target_beyond_the_scores_is_refused_and_nothing_is_written(kernel, target):
    scores_NV = torch.zeros(2, 3)
    with pytest.raises(IndexError, match="none of 3"):
        kernel.cross_entropy(scores_NV, torch.tensor([0, target]), 0.0, 1.0)
    assert not scores_NV.any()


def test_nothing_to_learn_is_no_loss(kernel):
    assert len(kernel.cross_entropy(torch.zeros(0, 3), torch.zeros(0, dtype=torch.long), 0.0, 1.0)) == 0


@pytest.mark.parametrize("dtype", TYPES)
def test_no_number_depends_on_threads_or_on_where_it_lies(kernel, dtype):
    x, gradient = numbers(100_000, dtype=dtype), numbers(100_000, dtype=dtype)
    scores_NV, targets_N = numbers(9, 1003, dtype=dtype), torch.arange(9)

    def everything():
        here_NV = scores_NV.clone()
        losses_N = kernel.cross_entropy(here_NV, targets_N, 0.1, 1.0)
        return kernel.gelu(x), kernel.gelu_backward(gradient, x), here_NV, losses_N

    torch.set_num_threads(1)
    alone = everything()
    for threads in (2, 3):
        torch.set_num_threads(threads)
        assert all(torch.equal(*both) for both in zip(alone, everything(), strict=True))
    assert torch.equal(kernel.gelu(x[7:].clone()), alone[0][7:])
    one_NV = scores_NV[4:5].clone()
    assert kernel.cross_entropy(one_NV, targets_N[4:5], 0.1, 1.0) == alone[3][4]
    assert torch.equal(one_NV[0], alone[2][4])

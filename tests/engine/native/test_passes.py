"""The passes of training over large tensors equal torch's own in float64, wherever a number lies."""

import pytest
import torch
import torch.nn.functional as F

from engine.native.library import Kernel
from tests.engine import kernels

SIZES = (1, 15, 16, 17, 4099, 2 * (1 << 14) + 5)  # the last is shared among threads
TYPES = (torch.float32, torch.bfloat16)


@pytest.fixture(scope="module", params=kernels.BUILT or [None], ids=str)
def kernel(request: pytest.FixtureRequest) -> Kernel:
    if request.param is None:
        pytest.skip(f"{kernels.NONE}; its passes are not tested")
    return kernels.of(request.param)


def close(found, exact, dtype) -> None:
    """To a unit or so in the last place of the type: what is exact is rounded to it too."""
    tolerance = {torch.float32: 3e-7, torch.bfloat16: 2**-8}[dtype]
    torch.testing.assert_close(found.double(), exact, rtol=tolerance, atol=tolerance / 4)


def numbers(*shape, dtype, spread=3.0):
    generator = torch.Generator().manual_seed(sum(shape))
    return (torch.randn(*shape, generator=generator) * spread).to(dtype)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("size", SIZES)
def test_gelu_and_its_gradient(kernel: Kernel, size, dtype) -> None:
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
def test_the_gate_of_swiglu_and_its_gradients(kernel: Kernel, size, dtype) -> None:
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
def test_gates_far_open_and_far_shut(kernel: Kernel, dtype) -> None:
    gate, ones = torch.tensor([-1e4, -100.0, 0.0, 100.0, 1e4], dtype=dtype), torch.ones(5, dtype=dtype)
    by_gate, by_other = kernel.gated_backward(ones, gate, ones)
    torch.testing.assert_close(kernel.gated(gate, ones), gate.clamp(min=0), atol=1e-20, rtol=0)
    torch.testing.assert_close(by_gate, torch.tensor([0, 0, 0.5, 1, 1], dtype=dtype), atol=1e-20, rtol=0)
    torch.testing.assert_close(by_other, gate.clamp(min=0), atol=1e-20, rtol=0)


@pytest.mark.parametrize("dtype", TYPES)
def test_gelu_at_the_ends(kernel: Kernel, dtype) -> None:
    x = torch.tensor([-1e4, -100.0, -0.0, 0.0, 100.0, 1e4], dtype=dtype)
    slopes = kernel.gelu_backward(torch.ones_like(x), x)
    torch.testing.assert_close(kernel.gelu(x), x.clamp(min=0), atol=1e-20, rtol=0)
    torch.testing.assert_close(slopes, torch.tensor([0, 0, 0.5, 0.5, 1, 1], dtype=dtype), atol=1e-20, rtol=0)
    assert kernel.gelu(torch.tensor([float("nan")], dtype=dtype)).isnan().all()


@pytest.mark.parametrize("into", TYPES)
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("shape", [(1, 1), (3, 15), (65, 16), (200, 50), (130, 768)])
def test_norms_and_their_gradients(kernel: Kernel, shape: tuple[int, int], biased: bool, dtype, into) -> None:
    """With a bias LayerNorm, without one RMSNorm; what comes in and what goes out each in both dtypes."""
    width = shape[1:]
    x_ND, gradient_ND = numbers(*shape, dtype=dtype) + 2, numbers(*shape, dtype=into, spread=1.0)
    weight_D = numbers(*width, dtype=torch.float32)
    bias_D = numbers(*width, dtype=torch.float32) if biased else None
    exact = [part.double().requires_grad_() for part in (x_ND, weight_D, *([bias_D] if biased else []))]
    norm = F.layer_norm if biased else F.rms_norm
    expected_ND = norm(exact[0], width, *exact[1:], eps=1e-5)
    expected_ND.backward(gradient_ND.double())

    out_ND, means_N, scales_N = kernel.norm(x_ND, weight_D, bias_D, 1e-5, into)
    assert out_ND.dtype == into
    tolerance = {torch.float32: 1e-5, torch.bfloat16: 2**-8}[into]
    torch.testing.assert_close(out_ND.double(), expected_ND.detach(), rtol=tolerance, atol=tolerance)
    found = kernel.norm_backward(gradient_ND, x_ND, weight_D, means_N, scales_N, has_bias=biased)
    assert found[0].dtype == dtype
    assert (found[2] is None) == (not biased)
    for name, ours, of in zip(("x", "weight", "bias"), found, exact, strict=False):
        least = 2**-7 if ours.dtype == torch.bfloat16 else 1e-4
        most = max(1.0, of.grad.abs().max())
        assert (ours.double() - of.grad).abs().max() <= least * most, name


def softmax_in_float64(scores_NRS, ranges_BQ2, scale):
    heads, group = len(scores_NRS) // len(ranges_BQ2), scores_NRS.shape[1] // ranges_BQ2.shape[1]
    ranges_NR2 = ranges_BQ2.repeat_interleave(heads, dim=0).repeat_interleave(group, dim=1)
    at_S = torch.arange(scores_NRS.shape[2])
    seen_NRS = (at_S >= ranges_NR2[:, :, :1]) & (at_S < ranges_NR2[:, :, 1:])
    return (scores_NRS * scale).masked_fill(~seen_NRS, -torch.inf).softmax(-1)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("width", [1, 15, 16, 33, 300])
def test_softmax_within_ranges_and_its_gradient(kernel: Kernel, width: int, dtype) -> None:
    scores_NRS, gradient_NRS = (numbers(6, 10, width, dtype=dtype) for _ in range(2))
    first_BQ = torch.arange(10).view(2, 5) * width // 11
    after_BQ = torch.maximum(first_BQ + 1, width - torch.arange(10).flip(0).view(2, 5) * width // 20)
    ranges_BQ2 = torch.stack((first_BQ, after_BQ), -1)  # of three heads, and of groups of two
    exact_NRS = scores_NRS.double().requires_grad_()
    expected_NRS = softmax_in_float64(exact_NRS, ranges_BQ2, 0.3)
    kernel.softmax_(scores_NRS, ranges_BQ2, 0.3)
    close(scores_NRS, expected_NRS.detach(), dtype)
    assert (scores_NRS[expected_NRS == 0] == 0).all(), "what is not seen must not be touched by rounding either"

    expected_NRS.backward(gradient_NRS.double())
    kernel.softmax_backward_(gradient_NRS, scores_NRS, 0.3)
    torch.testing.assert_close(gradient_NRS.double(), exact_NRS.grad, rtol=0, atol=8 * torch.finfo(dtype).eps)
    assert (gradient_NRS[expected_NRS == 0] == 0).all()


def test_softmax_of_scores_far_apart_and_of_no_numbers(kernel: Kernel) -> None:
    scores_NRS = torch.tensor([[[3e4, -3e4, 0.0], [0.0, float("nan"), 1.0], [float("nan"), 2.0, 2.0]]])
    kernel.softmax_(scores_NRS, torch.tensor([[[0, 3], [0, 3], [1, 3]]]), 1.0)
    torch.testing.assert_close(scores_NRS[0, 0], torch.tensor([1.0, 0.0, 0.0]), atol=1e-30, rtol=0)
    assert scores_NRS[0, 1].isnan().all(), "the guard of the loop must see it"
    assert scores_NRS[0, 2].tolist() == [0.0, 0.5, 0.5], "what is not seen is not looked at"


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("width", [2, 10, 64, 80])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_heads_are_turned_wherever_they_lie(kernel: Kernel, width: int, dtype, sign: float) -> None:
    in_memory_BTHE = numbers(2, 5, 3, width + 4, dtype=dtype)[..., :width]
    x_BHTE, angles_BTE = in_memory_BTHE.transpose(1, 2), numbers(2, 5, width, dtype=torch.float32)
    cos_BTE, sin_BTE = angles_BTE.cos(), angles_BTE.sin()
    first, second = x_BHTE.double().chunk(2, dim=-1)
    across = torch.cat((-second, first), dim=-1) * sign
    expected_BHTE = x_BHTE.double() * cos_BTE[:, None].double() + across * sin_BTE[:, None].double()
    for out_BHTE in (torch.empty(x_BHTE.shape, dtype=dtype), torch.empty(2, 5, 3, width, dtype=dtype).transpose(1, 2)):
        kernel.rotate(x_BHTE, cos_BTE, sin_BTE, out_BHTE, sign)
        torch.testing.assert_close(out_BHTE.double(), expected_BHTE, rtol=2 * torch.finfo(dtype).eps, atol=1e-6)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("vocabulary", [3, 16, 257, 8192, 50257])
def test_cross_entropy_and_its_gradient(kernel: Kernel, vocabulary: int, smoothing: float, dtype) -> None:
    scores_NV = numbers(5, vocabulary, dtype=dtype)
    targets_N = torch.tensor([0, vocabulary - 1, 1, vocabulary // 2, 2])
    exact_NV = scores_NV.double().requires_grad_()
    plain_N = F.cross_entropy(exact_NV.detach(), targets_N, reduction="none")
    torch.testing.assert_close(kernel.losses(scores_NV, targets_N).double(), plain_N, rtol=1e-5, atol=1e-5)
    losses_N = F.cross_entropy(exact_NV, targets_N, reduction="none", label_smoothing=smoothing)
    (0.25 * losses_N.sum()).backward()
    found_N = kernel.cross_entropy(scores_NV, targets_N, smoothing, 0.25)
    torch.testing.assert_close(found_N.double(), losses_N.detach(), rtol=1e-5, atol=1e-5)
    close(scores_NV, exact_NV.grad, dtype)


def test_cross_entropy_of_scores_far_apart_and_of_no_numbers(kernel: Kernel) -> None:
    scores_NV = torch.tensor([[3e4, -3e4, 0.0], [0.0, float("nan"), 1.0], [0.0, float("inf"), 1.0]])
    losses_N = kernel.cross_entropy(scores_NV, torch.tensor([1, 0, 0]), 0.0, 1.0)
    assert losses_N[0] == 6e4
    torch.testing.assert_close(scores_NV[0], torch.tensor([1.0, -1.0, 0.0]), atol=1e-30, rtol=0)
    assert losses_N[1:].isnan().all(), "the guard of the loop must see them"


@pytest.mark.parametrize("target", [-1, 3])
def test_a_target_beyond_the_scores_is_refused_and_nothing_is_written(kernel: Kernel, target: int) -> None:
    scores_NV = torch.zeros(2, 3)
    with pytest.raises(IndexError, match="not one of the 3"):
        kernel.cross_entropy(scores_NV, torch.tensor([0, target]), 0.0, 1.0)
    with pytest.raises(IndexError, match="not one of the 3"):
        kernel.losses(scores_NV, torch.tensor([0, target]))
    assert not scores_NV.any()


def test_nothing_to_learn_is_no_loss(kernel: Kernel) -> None:
    assert len(kernel.cross_entropy(torch.zeros(0, 3), torch.zeros(0, dtype=torch.long), 0.0, 1.0)) == 0


@pytest.mark.parametrize("dtype", TYPES)
def test_no_number_depends_on_threads_or_on_where_it_lies(kernel: Kernel, dtype) -> None:
    x, gradient = numbers(100_000, dtype=dtype), numbers(100_000, dtype=dtype)
    scores_NV, targets_N = numbers(9, 1003, dtype=dtype), torch.arange(9)

    def everything():
        here_NV = scores_NV.clone()
        losses_N = kernel.cross_entropy(here_NV, targets_N, 0.1, 1.0)
        shares_NRS = scores_NV.view(3, 3, -1).clone()
        kernel.softmax_(shares_NRS, torch.tensor([[[0, 5], [3, 1003], [0, 900]]]), 1.0)
        norms = kernel.norm(x.view(-1, 500), torch.ones(500), torch.zeros(500), 1e-5, dtype)
        by_norms = kernel.norm_backward(
            gradient.view(-1, 500), x.view(-1, 500), torch.ones(500), *norms[1:], has_bias=True
        )
        by_scores_NRS = scores_NV.view(3, 3, -1).clone()
        kernel.softmax_backward_(by_scores_NRS, shares_NRS, 1.0)
        by_one = kernel.gelu(x), kernel.gelu_backward(gradient, x), here_NV, losses_N
        return *by_one, shares_NRS, by_scores_NRS, *norms, *by_norms

    torch.set_num_threads(1)
    alone = everything()
    for threads in (2, 3):
        torch.set_num_threads(threads)
        assert all(torch.equal(*both) for both in zip(alone, everything(), strict=True))
    assert torch.equal(kernel.gelu(x[7:].clone()), alone[0][7:])
    one_NV = scores_NV[4:5].clone()
    assert kernel.cross_entropy(one_NV, targets_N[4:5], 0.1, 1.0) == alone[3][4]
    assert torch.equal(one_NV[0], alone[2][4])

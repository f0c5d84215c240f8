"""Both ways of attention against attention written out in float64."""

import math

import pytest
import torch

from engine.models.attention import attention


def reference(q, k, v, seen):
    group = q.shape[1] // k.shape[1]
    k, v = (part.repeat_interleave(group, dim=1) for part in (k, v))
    scores = q @ k.transpose(2, 3) / math.sqrt(q.shape[-1])
    return scores.masked_fill(~seen, -math.inf).softmax(-1) @ v


def draw(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 4e-2)])
@pytest.mark.parametrize(("heads", "groups"), [(4, 4), (6, 2), (3, 1)])
@pytest.mark.parametrize("masked", [True, False])
def test_values_and_gradients(dtype, tolerance, heads, groups, masked):
    given = [draw(2, heads, 9, 8), draw(2, groups, 9, 8) + 1, draw(2, groups, 9, 8) - 1]
    ours = [part.to(dtype).requires_grad_() for part in given]
    exact = [part.detach().double().requires_grad_() for part in ours]
    causal = torch.ones(9, 9, dtype=torch.bool).tril()
    seen = causal & (torch.arange(9) // 4 == torch.arange(9)[:, None] // 4).expand(2, 1, 9, 9) if masked else None
    out, expected = attention(*ours, seen), reference(*exact, causal if seen is None else seen)
    assert out.dtype == dtype
    torch.testing.assert_close(out.double(), expected, atol=tolerance, rtol=tolerance)
    upstream = draw(2, heads, 9, 8)
    out.backward(upstream.to(dtype))
    expected.backward(upstream.double())
    for one, two in zip(ours, exact, strict=True):
        torch.testing.assert_close(one.grad.double(), two.grad, atol=4 * tolerance, rtol=tolerance)


def test_one_query_over_many_keys():
    q, k, v = (part.bfloat16() for part in (draw(3, 4, 1, 8), draw(3, 2, 20, 8), draw(3, 2, 20, 8)))
    seen = (torch.arange(20) <= torch.tensor([3, 11, 19])[:, None])[:, None, None]
    out = attention(q, k, v, seen)
    torch.testing.assert_close(out.double(), reference(q.double(), k.double(), v.double(), seen), atol=4e-2, rtol=4e-2)

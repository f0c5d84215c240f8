"""All ways of attention against attention written out in float64."""

import math

import pytest
import torch

from engine.models import blockwise
from engine.models.attention import attention, packed
from engine.native import library


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
def test_values_and_gradients(dtype: torch.dtype, tolerance: float, heads: int, groups: int, masked: bool) -> None:
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


def test_one_query_over_many_keys() -> None:
    q, k, v = (part.bfloat16() for part in (draw(3, 4, 1, 8), draw(3, 2, 20, 8), draw(3, 2, 20, 8)))
    seen = (torch.arange(20) <= torch.tensor([3, 11, 19])[:, None])[:, None, None]
    out = attention(q, k, v, seen)
    torch.testing.assert_close(out.double(), reference(q.double(), k.double(), v.double(), seen), atol=4e-2, rtol=4e-2)


DOCUMENTS = {
    "one": ([300], [300]),
    "several": ([1, 140, 159], [7, 290, 3]),
    "long after short": ([130, 10, 130, 30], [290, 10]),
}


@pytest.mark.parametrize("by", ["kernel", "torch"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-5), (torch.bfloat16, 4e-2)])
@pytest.mark.parametrize(("heads", "groups"), [(4, 4), (6, 2)])
@pytest.mark.parametrize("window", [0, 1, 37, 200, 1000])
@pytest.mark.parametrize("lengths", DOCUMENTS.values(), ids=DOCUMENTS)
def test_packed_rows_in_several_blocks(
    monkeypatch: pytest.MonkeyPatch,
    lengths,
    window: int,
    heads: int,
    groups: int,
    dtype: torch.dtype,
    tolerance: float,
    by: str,
) -> None:
    """Longer than a block, in each dtype, with and without the kernel's softmax."""
    if by == "torch":
        monkeypatch.setattr(library, "kernel", lambda: None)
    elif library.kernel() is None:
        pytest.skip("NO KERNEL: python -m engine.native.build says why; torch's softmax alone is tested")
    documents_BT = torch.stack([torch.arange(len(of)).repeat_interleave(torch.tensor(of)) for of in lengths])
    length = documents_BT.shape[1]
    assert length > 2 * blockwise.QUERIES
    near = torch.ones(length, length, dtype=torch.bool).tril()
    if window:
        near = near.triu(1 - window)
    seen = (near & (documents_BT[:, :, None] == documents_BT[:, None]))[:, None]

    given = [draw(2, heads, length, 8), draw(2, groups, length, 8) + 1, draw(2, groups, length, 8) - 1]
    ours = [part.to(dtype).requires_grad_() for part in given]
    exact = [part.detach().double().requires_grad_() for part in ours]
    attend = packed(documents_BT, window)
    out, expected = attend(*ours), reference(*exact, seen)
    assert out.dtype == dtype
    torch.testing.assert_close(out.double(), expected, atol=tolerance, rtol=tolerance)
    upstream = draw(2, heads, length, 8)
    out.backward(upstream.to(dtype))
    expected.backward(upstream.to(dtype).double())
    for one, two in zip(ours, exact, strict=True):
        assert (one.grad.double() - two.grad).norm() <= tolerance / 2 * two.grad.norm()
        torch.testing.assert_close(one.grad.double(), two.grad, atol=4 * tolerance, rtol=4 * tolerance)
    with torch.no_grad():
        assert torch.equal(attend(*ours), out)


def begins(seen):
    return seen[:, 0].to(torch.int8).argmax(-1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_shares_that_are_computed_again_are_those_that_were(dtype: torch.dtype) -> None:
    """As for rows too long to keep them, and beside an adapter: bit for bit, gradients too, in less memory."""
    torch.manual_seed(3)
    documents = torch.tensor([[0] * 100 + [1] * 220, [0] * 320])

    def run(most):
        generator = torch.Generator().manual_seed(4)
        q, k, v = (
            torch.randn(2, heads, 320, 16, generator=generator).to(dtype).requires_grad_() for heads in (4, 2, 2)
        )
        kept = []
        with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x.nbytes) or x, lambda x: x):
            out = blockwise.attend(q, k, v, packed(documents)._blocks, most)
        out.float().square().sum().backward()
        return [out, q.grad, k.grad, v.grad], sum(kept)

    (kept, bytes_kept), (again, bytes_again) = run(1 << 24), run(0)
    assert all(torch.equal(one, other) for one, other in zip(kept, again, strict=True))
    assert bytes_again < bytes_kept / 3


def test_what_no_query_of_a_block_sees_is_left_out() -> None:
    documents_BT = torch.cat((torch.zeros(2, 150), torch.ones(2, 150)), dim=1).long()
    seen = ((documents_BT[:, :, None] == documents_BT[:, None]) & torch.ones(300, 300, dtype=torch.bool).tril())[
        :, None
    ]
    found = [(block.queries, block.keys) for block in blockwise.blocks(begins(seen))]
    assert found == [
        (slice(0, 128), slice(0, 128)),
        (slice(128, 256), slice(0, 256)),
        (slice(256, 300), slice(150, 300)),
    ]

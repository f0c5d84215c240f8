"""Causal attention on a processor, in blocks of queries, forward and backward written by hand.

In float32 a kernel does all of it; what follows is of bf16, for which torch has faster products, and of no kernel.

Keys that no query of a block sees are left out of its products: those after it, and those before all of its documents
and windows. The shares are kept for the way back, but for those of long rows, which are computed again there.

Shapes: B rows, H query heads, K key/value heads of G query heads each, T positions, E width of a head, N = B K; of a
block: Q queries, R = Q G of all heads of a group, S keys.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.autograd import Function

from engine.native import library
from engine.native.library import Kernel

QUERIES = 128
"""Of a block: with fewer, products are too small to be fast."""
MOST_KEPT = 1 << 24
"""Shares of a layer that are kept: 32 MB in bf16."""


@dataclass(frozen=True)
class Block:
    """Queries one after the other, and the keys that any of them sees.

    Attributes:
        ranges_BQ2: of each query the first key that it sees, and the one after the last, counted within ``keys``.
    """

    queries: "slice[int, int, None]"
    keys: "slice[int, int, None]"
    ranges_BQ2: Tensor


def blocks(begins_BT: Tensor) -> list[Block]:
    """All queries in blocks; each sees the positions from the one in ``begins_BT`` to its own."""
    length = begins_BT.shape[1]
    found = []
    for start in range(0, length, QUERIES):
        end = min(start + QUERIES, length)
        begins_BQ = begins_BT[:, start:end]
        ends_BQ = torch.arange(start + 1, end + 1).expand_as(begins_BQ)
        first = int(begins_BQ.min())
        found.append(Block(slice(start, end), slice(first, end), torch.stack((begins_BQ, ends_BQ), -1) - first))
    return found


class _Attend(Function):
    blocks: Sequence[Block]

    @staticmethod
    def forward(
        ctx: "_Attend", q_BHTE: Tensor, k_BKTE: Tensor, v_BKTE: Tensor, blocks: Sequence[Block], most_kept: int
    ) -> Tensor:
        groups = k_BKTE.shape[1]
        q_NRE, k_NTE, v_NTE = (_rows(part, groups) for part in (q_BHTE, k_BKTE, v_BKTE))
        keeps = q_BHTE.shape[0] * q_BHTE.shape[1] * sum(map(_scores_of, blocks)) <= most_kept
        out_NRE, shares = torch.empty_like(q_NRE), []
        for block in blocks:
            rows = _rows_of(block, q_BHTE.shape[1] // groups)
            shares_NRS = _shares(q_NRE[:, rows], k_NTE[:, block.keys], block)
            torch.bmm(shares_NRS, v_NTE[:, block.keys], out=out_NRE[:, rows])
            if keeps:
                shares.append(shares_NRS)
        ctx.save_for_backward(q_NRE, k_NTE, v_NTE, *shares)
        ctx.blocks = blocks
        return _heads(out_NRE, q_BHTE.shape[0], groups, q_BHTE.shape[2])

    @staticmethod
    def backward(ctx: "_Attend", gradient_BHTE: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        q_NRE, k_NTE, v_NTE, *shares = list(ctx.saved_tensors)
        batch, heads, length, width = gradient_BHTE.shape
        groups = len(k_NTE) // batch
        gradient_NRE = _rows(gradient_BHTE, groups)
        by_q_NRE = torch.empty_like(q_NRE)
        by_k_NTE, by_v_NTE = (torch.zeros(k_NTE.shape) for _ in range(2))  # blocks are added up in float32
        for number, block in enumerate(ctx.blocks):
            rows, keys = _rows_of(block, heads // groups), block.keys
            shares_NRS = shares[number] if shares else _shares(q_NRE[:, rows], k_NTE[:, keys], block)
            by_v_NTE[:, keys] += torch.bmm(shares_NRS.transpose(1, 2), gradient_NRE[:, rows])
            by_shares_NRS = torch.bmm(gradient_NRE[:, rows], v_NTE[:, keys].transpose(1, 2))
            by_scores_NRS = _by_scores(by_shares_NRS, shares_NRS, width**-0.5)
            torch.bmm(by_scores_NRS, k_NTE[:, keys], out=by_q_NRE[:, rows])
            by_k_NTE[:, keys] += torch.bmm(by_scores_NRS.transpose(1, 2), q_NRE[:, rows])
        by_k_NTE, by_v_NTE = by_k_NTE.to(k_NTE.dtype), by_v_NTE.to(v_NTE.dtype)
        by_q, by_k, by_v = (_heads(part, batch, groups, length) for part in (by_q_NRE, by_k_NTE, by_v_NTE))
        return by_q, by_k, by_v, None, None


class _ByKernel(Function):
    kernel: Kernel

    @staticmethod
    def forward(
        ctx: "_ByKernel", q_BHTE: Tensor, k_BKTE: Tensor, v_BKTE: Tensor, begins_BT: Tensor, kernel: Kernel
    ) -> Tensor:
        ctx.save_for_backward(q_BHTE, k_BKTE, v_BKTE, begins_BT)
        ctx.kernel = kernel
        out_BHTE = _empty_like(q_BHTE)
        kernel.attend(q_BHTE, k_BKTE, v_BKTE, begins_BT, out_BHTE)
        return out_BHTE

    @staticmethod
    def backward(ctx: "_ByKernel", gradient_BHTE: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        *given, begins_BT = list(ctx.saved_tensors)
        by_q, by_k, by_v = (_empty_like(each) for each in given)
        ctx.kernel.attend_backward(_side_by_side(gradient_BHTE), given, begins_BT, (by_q, by_k, by_v))
        return by_q, by_k, by_v, None, None


def _empty_like(x_BHTE: Tensor) -> Tensor:
    """In memory [B, T, H, E], as the products before and after have it."""
    batch, heads, length, width = x_BHTE.shape
    return x_BHTE.new_empty(batch, length, heads, width).transpose(1, 2)


def _side_by_side(x_BHTE: Tensor) -> Tensor:
    """The same with the numbers of a head side by side."""
    return x_BHTE if x_BHTE.stride(-1) == 1 else x_BHTE.contiguous()


_by_kernel: Callable[[Tensor, Tensor, Tensor, Tensor, Kernel], Tensor] = _ByKernel.apply


def attend_by_kernel(q_BHTE: Tensor, k_BKTE: Tensor, v_BKTE: Tensor, begins_BT: Tensor) -> Tensor | None:
    """As `attend`, each position looking at those from the one in ``begins_BT`` on; null where there is no kernel."""
    if q_BHTE.dtype != torch.float32 or (kernel := library.kernel_for(q_BHTE)) is None:
        return None
    q_BHTE, k_BKTE, v_BKTE = (_side_by_side(each) for each in (q_BHTE, k_BKTE, v_BKTE))
    return _by_kernel(q_BHTE, k_BKTE, v_BKTE, begins_BT.contiguous(), kernel)


attend: Callable[[Tensor, Tensor, Tensor, Sequence[Block], int], Tensor] = _Attend.apply
"""Queries [B, H, T, E], keys and values [B, K, T, E], the blocks of the T queries, and how many shares may be kept for
the way back, or `MOST_KEPT`; attended values [B, H, T, E]."""


def _rows(x_BHTE: Tensor, groups: int) -> Tensor:
    """[N, T G, E]: the heads of a group beside each other, so that a block of queries is a block of these rows."""
    batch, heads, length, width = x_BHTE.shape
    x_BKGTE = x_BHTE.view(batch, groups, heads // groups, length, width)
    return x_BKGTE.transpose(2, 3).reshape(batch * groups, -1, width)


def _heads(x_NRE: Tensor, batch: int, groups: int, length: int) -> Tensor:
    """The inverse of `_rows`; in memory [B, T, H, E], as the products before and after have it."""
    x_BKTGE = x_NRE.view(batch, groups, length, -1, x_NRE.shape[2])
    return x_BKTGE.transpose(1, 2).flatten(2, 3).transpose(1, 2)


def _rows_of(block: Block, group: int) -> "slice[int, int, None]":
    return slice(block.queries.start * group, block.queries.stop * group)


def _scores_of(block: Block) -> int:
    """How many a head has."""
    return (block.queries.stop - block.queries.start) * (block.keys.stop - block.keys.start)


def _shares(q_NRE: Tensor, k_NSE: Tensor, block: Block) -> Tensor:
    """[N, R, S]: the softmax of the products, scaled by the width."""
    scores_NRS = torch.bmm(q_NRE, k_NSE.transpose(1, 2))
    scale: float = q_NRE.shape[2] ** -0.5
    if (kernel := library.kernel_for(scores_NRS)) is not None:
        kernel.softmax_(scores_NRS, block.ranges_BQ2, scale)
        return scores_NRS
    batch, queries, _ = block.ranges_BQ2.shape
    keys_S = torch.arange(scores_NRS.shape[2])
    begins_BQ, ends_BQ = block.ranges_BQ2.unbind(-1)
    seen_BQS = (keys_S >= begins_BQ[:, :, None]) & (keys_S < ends_BQ[:, :, None])
    scores_BKQGS = (scores_NRS.float() * scale).view(batch, -1, queries, scores_NRS.shape[1] // queries, len(keys_S))
    shares_BKQGS = scores_BKQGS.masked_fill_(~seen_BQS[:, None, :, None], float("-inf")).softmax(-1)
    return shares_BKQGS.view(scores_NRS.shape).to(scores_NRS.dtype)


def _by_scores(gradient_NRS: Tensor, shares_NRS: Tensor, scale: float) -> Tensor:
    """The gradient by the scores, given that by their shares, the memory of which may be used for it."""
    if (kernel := library.kernel_for(gradient_NRS)) is not None:
        kernel.softmax_backward_(gradient_NRS, shares_NRS, scale)
        return gradient_NRS
    products_NRS = gradient_NRS.float() * shares_NRS
    return (products_NRS - shares_NRS * products_NRS.sum(-1, keepdim=True)).mul_(scale).to(gradient_NRS.dtype)

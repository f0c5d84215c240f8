"""Grouped-query attention by whatever is fast for device and dtype.

Shapes: B rows, H query heads, K key/value heads (H is a multiple of K), T queries, S keys, E width of a head.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

_MOST_SCORES = 1 << 24
"""Scores held at once on the way by matrix products; beyond, torch's own kernel, which holds only blocks of them."""


def attention(q_BHTE: Tensor, k_BKSE: Tensor, v_BKSE: Tensor, seen: Tensor | None) -> Tensor:
    """Attended values [B, H, T, E].

    ``seen`` is true where a query may look at a key, and broadcasts to [B, H, T, S]; without it attention is causal and
    T equals S.
    """
    scores = q_BHTE.shape[0] * q_BHTE.shape[1] * q_BHTE.shape[2] * k_BKSE.shape[2]
    if q_BHTE.device.type == "cpu" and q_BHTE.dtype == torch.bfloat16 and scores <= _MOST_SCORES:
        return _by_products(q_BHTE, k_BKSE, v_BKSE, seen)
    return F.scaled_dot_product_attention(
        q_BHTE, k_BKSE, v_BKSE, attn_mask=seen, is_causal=seen is None, enable_gqa=True
    )


def _by_products(q_BHTE: Tensor, k_BKSE: Tensor, v_BKSE: Tensor, seen: Tensor | None) -> Tensor:
    """Plain matrix products: in bf16 on a CPU, torch's kernel takes 2 (training) to 17 (decoding) times as long."""
    batch, heads, queries, width = q_BHTE.shape
    groups, keys = k_BKSE.shape[1:3]
    if seen is None:
        seen = torch.ones(queries, keys, dtype=torch.bool, device=q_BHTE.device).tril()
    bias = torch.zeros(seen.shape, dtype=q_BHTE.dtype).masked_fill_(~seen, float("-inf"))
    grouped = (q_BHTE * width**-0.5).reshape(batch, groups, -1, width)
    scores_BHTS = (grouped @ k_BKSE.transpose(2, 3)).view(batch, heads, queries, keys) + bias
    shares = scores_BHTS.softmax(-1).view(batch, groups, -1, keys)
    return torch.matmul(shares, v_BKSE).view(batch, heads, queries, width)

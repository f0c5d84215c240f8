"""Attention as a layer, with its projections.

Shapes beside those of `engine.models.base`: H query heads, K key/value heads, E width of a head.
"""

import math

from torch import Tensor, nn

from engine.families.thor import ThorShape
from engine.models.attention import Attend
from engine.models.linear import Linear
from engine.models.norms import NORMS, Norm
from engine.models.rotary import Turn, rotate


class ThorAttention(nn.Module):
    """Grouped-query attention: H query heads share K key/value heads."""

    def __init__(self, shape: ThorShape) -> None:
        super().__init__()
        self.width = shape.width
        self.sizes = [heads * self.width for heads in (shape.heads, shape.kv_heads, shape.kv_heads)]
        self.make_projections(shape, bias=shape.qkv_bias or shape.linear_bias)
        self.o_proj = Linear(shape.heads * self.width, shape.hidden, bias=shape.linear_bias)
        norm, scope = NORMS[shape.norm_kind], shape.qk_norm_scope
        self.norms_whole = scope == "projection"
        of_q, of_k = self.sizes[:2] if self.norms_whole else (self.width, self.width)
        self.q_norm = norm(of_q, shape.norm_epsilon) if shape.qk_norm else None
        self.k_norm = norm(of_k, shape.norm_epsilon) if shape.qk_norm else None
        # What computes attention divides scores by the root of the width.
        self.query_scale = shape.attention_multiplier * math.sqrt(self.width) or 1.0

    def make_projections(self, shape: ThorShape, *, bias: bool) -> None:
        """Make the maps to queries, keys and values."""
        self.q_proj, self.k_proj, self.v_proj = (Linear(shape.hidden, size, bias=bias) for size in self.sizes)

    def project(self, x_BTD: Tensor, norm: Norm) -> list[Tensor]:
        """Queries [B, T, H, E], keys and values [B, T, K, E]."""
        parts = self.q_proj.together([self.k_proj, self.v_proj], lambda read: norm(*read), [x_BTD])
        return [part.view(*part.shape[:-1], -1, self.width) for part in parts]

    def forward(self, x_BTD: Tensor, norm: Norm, turn: Turn | None, attend: Attend) -> Tensor:
        """Mix positions, normed first; ``attend`` decides which see which. Without ``turn`` there are no positions."""
        q_BTHE, k_BTKE, v_BTKE = self.project(x_BTD, norm)
        q_BHTE, k_BKTE = (
            self._normed(q_BTHE, self.q_norm).transpose(1, 2),
            self._normed(k_BTKE, self.k_norm).transpose(1, 2),
        )
        if turn is not None:
            q_BHTE, k_BKTE = rotate(q_BHTE, turn), rotate(k_BKTE, turn)
        if self.query_scale != 1.0:
            q_BHTE = q_BHTE * self.query_scale
        mixed_BHTE = attend(q_BHTE, k_BKTE, v_BTKE.transpose(1, 2))
        out_BTD: Tensor = self.o_proj(mixed_BHTE.transpose(1, 2).flatten(2))
        return out_BTD

    def _normed(self, x_BTHE: Tensor, norm: nn.Module | None) -> Tensor:
        if norm is None:
            return x_BTHE
        normed: Tensor = norm(x_BTHE.flatten(2)).view(x_BTHE.shape) if self.norms_whole else norm(x_BTHE)
        return normed


class FusedAttention(ThorAttention):
    """The same with one matrix for queries, keys and values: below each other as in Phi-3, or head by head."""

    def make_projections(self, shape: ThorShape, *, bias: bool) -> None:
        """Make the map to queries, keys and values."""
        self.by_head = shape.projections == "fused_by_head"
        self.qkv_proj = Linear(shape.hidden, sum(self.sizes), bias=bias)

    def project(self, x_BTD: Tensor, norm: Norm) -> list[Tensor]:
        """Queries [B, T, H, E], keys and values [B, T, K, E]."""
        (all_BTN,) = self.qkv_proj.together([], lambda read: norm(*read), [x_BTD])
        if self.by_head:
            return list(all_BTN.view(*all_BTN.shape[:-1], -1, 3, self.width).unbind(-2))
        heads_BTNE = all_BTN.view(*all_BTN.shape[:-1], -1, self.width)
        return list(heads_BTNE.split_with_sizes([size // self.width for size in self.sizes], dim=-2))


def self_attention(shape: ThorShape) -> ThorAttention:
    """The one that a shape asks for."""
    return ThorAttention(shape) if shape.projections == "separate" else FusedAttention(shape)

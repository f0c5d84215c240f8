"""Attention as a layer, with its projections.

Shapes beside those of `engine.models.base`: H query heads, K key/value heads, E width of a head.
"""

from torch import Tensor, nn

from engine.families.thor import ThorShape
from engine.models.attention import Attend
from engine.models.linear import Linear
from engine.models.norms import RMSNorm
from engine.models.rotary import rotate


class ThorAttention(nn.Module):
    """Grouped-query attention: H query heads share K key/value heads."""

    def __init__(self, shape: ThorShape) -> None:
        super().__init__()
        self.width = shape.width
        self.q_proj = Linear(shape.hidden, shape.heads * self.width, bias=shape.qkv_bias)
        self.k_proj = Linear(shape.hidden, shape.kv_heads * self.width, bias=shape.qkv_bias)
        self.v_proj = Linear(shape.hidden, shape.kv_heads * self.width, bias=shape.qkv_bias)
        self.o_proj = Linear(shape.heads * self.width, shape.hidden)
        self.q_norm = RMSNorm(self.width, shape.norm_epsilon) if shape.qk_norm else None
        self.k_norm = RMSNorm(self.width, shape.norm_epsilon) if shape.qk_norm else None

    def forward(self, x_BTD: Tensor, turn: tuple[Tensor, Tensor], attend: Attend) -> Tensor:
        """Mix positions; ``attend`` decides which may see which."""
        q_BTHE, k_BTKE, v_BTKE = (
            projection(x_BTD).unflatten(-1, (-1, self.width)) for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        if self.q_norm is not None and self.k_norm is not None:
            q_BTHE, k_BTKE = self.q_norm(q_BTHE), self.k_norm(k_BTKE)
        q_BHTE, k_BKTE = rotate(q_BTHE.transpose(1, 2), turn), rotate(k_BTKE.transpose(1, 2), turn)
        mixed_BHTE = attend(q_BHTE, k_BKTE, v_BTKE.transpose(1, 2))
        out_BTD: Tensor = self.o_proj(mixed_BHTE.transpose(1, 2).flatten(2))
        return out_BTD

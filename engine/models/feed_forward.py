"""Feed-forward layers: each position for itself."""

import torch.nn.functional as F
from torch import Tensor, nn

from engine.families.thor import ThorShape
from engine.models import functional
from engine.models.linear import Linear


class ThorFeedForward(nn.Module):
    """A gated one: SwiGLU, or GEGLU with GELU in its tanh form (Shazeer, 2002.05202)."""

    def __init__(self, shape: ThorShape) -> None:
        super().__init__()
        self.by_gelu = shape.mlp == "geglu"
        self.make_inner(shape)  # first: weights are drawn, and known to the optimizer, in the order they are made
        self.down_proj = Linear(shape.feed_forward, shape.hidden, bias=shape.linear_bias)

    def make_inner(self, shape: ThorShape) -> None:
        """Make the maps into the layer."""
        self.gate_proj = Linear(shape.hidden, shape.feed_forward, bias=shape.linear_bias)
        self.up_proj = Linear(shape.hidden, shape.feed_forward, bias=shape.linear_bias)

    def inner(self, x_BTD: Tensor) -> tuple[Tensor, Tensor]:
        """The gate before its activation, and what it lets through."""
        return self.gate_proj(x_BTD), self.up_proj(x_BTD)

    def forward(self, x_BTD: Tensor) -> Tensor:
        """[B, T, D] to the same."""
        gate, other = self.inner(x_BTD)
        gated = functional.gelu(gate) * other if self.by_gelu else functional.gated(gate, other)
        out_BTD: Tensor = self.down_proj(gated)
        return out_BTD


class FusedFeedForward(ThorFeedForward):
    """The same with gate and up as one matrix, as in Phi-3."""

    def make_inner(self, shape: ThorShape) -> None:
        """Make the map into the layer."""
        self.gate_up_proj = Linear(shape.hidden, 2 * shape.feed_forward, bias=shape.linear_bias)

    def inner(self, x_BTD: Tensor) -> tuple[Tensor, Tensor]:
        """The gate before its activation, and what it lets through."""
        gate, other = self.gate_up_proj(x_BTD).chunk(2, dim=-1)
        return gate, other


class PlainFeedForward(nn.Module):
    """An ungated one: two maps with GELU between them, exact or in its tanh form, as in GPT-NeoX."""

    def __init__(self, shape: ThorShape) -> None:
        super().__init__()
        self.by_tanh = shape.mlp == "gelu_tanh"
        self.up_proj = Linear(shape.hidden, shape.feed_forward, bias=shape.linear_bias)
        self.down_proj = Linear(shape.feed_forward, shape.hidden, bias=shape.linear_bias)

    def forward(self, x_BTD: Tensor) -> Tensor:
        """[B, T, D] to the same."""
        wide = self.up_proj(x_BTD)
        out_BTD: Tensor = self.down_proj(functional.gelu(wide) if self.by_tanh else F.gelu(wide))
        return out_BTD


def feed_forward(shape: ThorShape) -> nn.Module:
    """The one that a shape asks for."""
    if shape.mlp in ("gelu", "gelu_tanh"):
        return PlainFeedForward(shape)
    return FusedFeedForward(shape) if shape.projections == "fused" else ThorFeedForward(shape)

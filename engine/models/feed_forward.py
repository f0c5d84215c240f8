"""Feed-forward layers: each position for itself."""

import torch.nn.functional as F
from torch import Tensor, nn

from engine.families.thor import ThorShape
from engine.models import functional
from engine.models.linear import Linear
from engine.models.norms import Norm, as_it_is


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

    def inner(self, x_BTD: Tensor, norm: Norm) -> tuple[Tensor, Tensor]:
        """The gate before its activation, and what it lets through."""
        gate, other = self.gate_proj.together([self.up_proj], lambda read: norm(*read), [x_BTD])
        return gate, other

    def forward(self, x_BTD: Tensor, norm: Norm = as_it_is) -> Tensor:
        """[B, T, D] to the same, normed first."""
        (out_BTD,) = self.down_proj.together([], lambda parts: self._gated(*parts), self.inner(x_BTD, norm))
        return out_BTD

    def _gated(self, gate: Tensor, other: Tensor) -> Tensor:
        return functional.gelu(gate) * other if self.by_gelu else functional.gated(gate, other)


class FusedFeedForward(ThorFeedForward):
    """The same with gate and up as one matrix, as in Phi-3."""

    def make_inner(self, shape: ThorShape) -> None:
        """Make the map into the layer."""
        self.gate_up_proj = Linear(shape.hidden, 2 * shape.feed_forward, bias=shape.linear_bias)

    def inner(self, x_BTD: Tensor, norm: Norm) -> tuple[Tensor, Tensor]:
        """The gate before its activation, and what it lets through."""
        (both,) = self.gate_up_proj.together([], lambda read: norm(*read), [x_BTD])
        gate, other = both.chunk(2, dim=-1)
        return gate, other


class PlainFeedForward(nn.Module):
    """An ungated one: two maps with GELU between them, exact or in its tanh form, as in GPT-NeoX."""

    def __init__(self, shape: ThorShape) -> None:
        super().__init__()
        self.by_tanh = shape.mlp == "gelu_tanh"
        self.up_proj = Linear(shape.hidden, shape.feed_forward, bias=shape.linear_bias)
        self.down_proj = Linear(shape.feed_forward, shape.hidden, bias=shape.linear_bias)

    def forward(self, x_BTD: Tensor, norm: Norm = as_it_is) -> Tensor:
        """[B, T, D] to the same, normed first."""
        wide = self.up_proj.together([], lambda read: norm(*read), [x_BTD])
        (out_BTD,) = self.down_proj.together([], lambda read: self._gelu(read[0]), wide)
        return out_BTD

    def _gelu(self, x: Tensor) -> Tensor:
        return functional.gelu(x) if self.by_tanh else F.gelu(x)


def feed_forward(shape: ThorShape) -> nn.Module:
    """The one that a shape asks for."""
    if shape.mlp in ("gelu", "gelu_tanh"):
        return PlainFeedForward(shape)
    return FusedFeedForward(shape) if shape.projections == "fused" else ThorFeedForward(shape)

"""Norms over the last dimension. What comes out is in the dtype of the products that follow."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from engine.families.thor import NormKind
from engine.models import functional

Norm = Callable[[Tensor], Tensor]


def as_it_is(x_BTD: Tensor) -> Tensor:
    """No norm."""
    return x_BTD


class RMSNorm(nn.Module):
    """Scale to unit root mean square, then by a learned weight."""

    def __init__(self, width: int, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.epsilon = epsilon

    def forward(self, x_BTD: Tensor) -> Tensor:
        """The same shape, normalised, in the dtype of the products that follow."""
        return functional.rms_norm(x_BTD, self.weight, self.epsilon)


class OffsetRMSNorm(RMSNorm):
    """The same, by one plus a learned weight: as in Gemma, so that decay draws the factor to one."""

    def forward(self, x_BTD: Tensor) -> Tensor:
        """The same shape, normalised, in the dtype of the products that follow."""
        return functional.rms_norm(x_BTD, 1.0 + self.weight.float(), self.epsilon)


class LayerNorm(nn.Module):
    """To mean 0 and variance 1, then by a learned weight and bias."""

    def __init__(self, width: int, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))
        self.epsilon = epsilon

    def forward(self, x_BTD: Tensor) -> Tensor:
        """The same shape, normalised, in the dtype of the products that follow."""
        return functional.layer_norm(x_BTD, self.weight, self.bias, self.epsilon)


NORMS: dict[NormKind, type[RMSNorm | LayerNorm]] = {"rms": RMSNorm, "rms_offset": OffsetRMSNorm, "layer": LayerNorm}
"""Norms by what settings call them."""

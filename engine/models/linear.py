"""The linear maps that the families are made of. Shapes: K inputs, N outputs."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Make = Callable[[Sequence[Tensor]], Tensor]
"""What a map reads, made of something else."""


class LinearMap(nn.Module):
    """A product with a matrix, and a bias or none.

    Attributes:
        across: the matrix lies in memory as [K, N], not as [N, K].
    """

    across: bool
    weight: nn.Parameter
    bias: nn.Parameter | None

    @property
    def matrix(self) -> Tensor:
        """The matrix [N, K], whichever way it lies."""
        return self.weight.t() if self.across else self.weight

    def forward(self, x: Tensor) -> Tensor:
        """[..., K] to [..., N]."""
        return F.linear(x, self.matrix, self.bias)

    def together(self, others: Sequence["LinearMap"], make: Make, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """What this map and others read is what ``make`` makes of the inputs; what each makes of it, in order.

        A map that learns otherwise may keep the inputs for the way back, and make the same again there.
        """
        x = make(inputs)
        return self(x), *(other(x) for other in others)


class Linear(LinearMap):
    """A product with a weight [outputs, inputs] that starts undefined: drawing values for `nn.Linear`'s is wasted."""

    across = False

    def __init__(self, inputs: int, outputs: int, *, bias: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.bias = nn.Parameter(torch.empty(outputs)) if bias else None


class Projection(LinearMap):
    """A product with a weight [inputs, outputs], and a bias."""

    across = True

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(inputs, outputs))
        self.bias = nn.Parameter(torch.empty(outputs))

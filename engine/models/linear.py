"""The linear maps that the families are made of. Shapes: K inputs, N outputs."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function


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


class _OfOne(Function):
    @staticmethod
    def forward(ctx: "_OfOne", x: Tensor, *weights_NK: Tensor) -> tuple[Tensor, ...]:
        ctx.save_for_backward(x, *weights_NK)
        return tuple(F.linear(x, weight_NK) for weight_NK in weights_NK)

    @staticmethod
    def backward(ctx: "_OfOne", *gradients: Tensor) -> tuple[Tensor, ...]:
        x, *weights_NK = list(ctx.saved_tensors)
        x_MK = x.flatten(0, -2)
        by_x_MK, by_weights_NK = torch.empty_like(x_MK), []
        for number, (gradient, weight_NK) in enumerate(zip(gradients, weights_NK, strict=True)):
            gradient_MN = gradient.flatten(0, -2)
            by_weights_NK.append(gradient_MN.t() @ x_MK)
            by_x_MK.addmm_(gradient_MN, weight_NK, beta=1 if number else 0)
        return by_x_MK.view(x.shape), *by_weights_NK


_of_one: Callable[[Tensor, *tuple[Tensor, ...]], tuple[Tensor, ...]] = _OfOne.apply


def of_one(x: Tensor, *maps: nn.Module) -> tuple[Tensor, ...]:
    """What several maps make of one input.

    On a CPU in float32 the gradients of the input are added up by the products themselves, not in passes after them.
    """
    weights_NK = [each.weight for each in maps if type(each) is Linear and each.bias is None]
    learns = torch.is_grad_enabled() and all(type(of) is nn.Parameter and of.requires_grad for of in weights_NK)
    if learns and len(weights_NK) == len(maps) and _is_plain(x) and all(x.dtype == of.dtype for of in weights_NK):
        return _of_one(x, *weights_NK)
    return tuple(each(x) for each in maps)


def _is_plain(x: Tensor) -> bool:
    """Of float32, on a CPU, and neither autocast nor torch's compiler will make something else of it."""
    return (
        x.device.type == "cpu"
        and x.dtype == torch.float32
        and x.requires_grad
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
    )

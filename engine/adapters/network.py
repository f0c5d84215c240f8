"""A model whose base is frozen and whose linear maps have an adapter beside them that learns.

Shapes: M positions, K inputs, N outputs, R the rank.
"""

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function

from engine.adapters.adapter import A, Adapter, B
from engine.models import registry
from engine.models.base import LanguageModel
from engine.models.functional import computed_in
from engine.models.linear import LinearMap


class _Adapted(Function):
    """``x W' + bias + scale (x A') B'``, added where it belongs; the matrix of the base gets no gradient."""

    scale: float

    @staticmethod
    def forward(
        ctx: "_Adapted", x: Tensor, weight_NK: Tensor, bias_N: Tensor | None, a_RK: Tensor, b_NR: Tensor, scale: float
    ) -> Tensor:
        dtype = computed_in(x)
        with torch.autocast(x.device.type, enabled=False):
            x_MK = x.reshape(-1, x.shape[-1]).to(dtype)
            low_a_RK, low_b_NR = a_RK.to(dtype), b_NR.to(dtype)
            bias = None if bias_N is None else bias_N.to(dtype)
            out_MN = F.linear(x_MK, weight_NK.to(dtype), bias)
            inner_MR = x_MK @ low_a_RK.t()
            out_MN.addmm_(inner_MR, low_b_NR.t(), alpha=scale)
        ctx.save_for_backward(x_MK, weight_NK, low_a_RK, low_b_NR, inner_MR)
        ctx.scale = scale
        return out_MN.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: "_Adapted", gradient: Tensor) -> tuple[Tensor | None, None, None, Tensor, Tensor, None]:
        x_MK, weight_NK, a_RK, b_NR, inner_MR = list(ctx.saved_tensors)
        gradient_MN = gradient.reshape(-1, gradient.shape[-1]).to(x_MK.dtype)
        by_inner_MR = gradient_MN @ b_NR
        by_a_RK = ctx.scale * (by_inner_MR.t() @ x_MK).float()
        by_b_NR = ctx.scale * (gradient_MN.t() @ inner_MR).float()
        if not ctx.needs_input_grad[0]:  # below lies nothing but the frozen embedding
            return None, None, None, by_a_RK, by_b_NR, None
        by_x_MK = gradient_MN @ weight_NK.to(x_MK.dtype)
        by_x_MK.addmm_(by_inner_MR, a_RK, alpha=ctx.scale)
        return by_x_MK.view(*gradient.shape[:-1], -1), None, None, by_a_RK, by_b_NR, None


_adapted: Callable[[Tensor, Tensor, Tensor | None, Tensor, Tensor, float], Tensor] = _Adapted.apply


class _Factor(nn.Module):
    """One of the two, under the name that it has in PEFT."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.clone())


class AdaptedMap(LinearMap):
    """A linear map of the base, frozen, and its factors."""

    def __init__(self, inner: LinearMap, a_RK: Tensor, b_NR: Tensor, scale: float) -> None:
        super().__init__()
        self.across = inner.across
        self.weight, self.bias = inner.weight, inner.bias
        self.lora_A, self.lora_B = _Factor(a_RK), _Factor(b_NR)
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        """[..., K] to [..., N]."""
        return _adapted(x, self.matrix, self.bias, self.lora_A.weight, self.lora_B.weight, self.scale)


def frozen(weights: Mapping[str, Tensor], device: torch.device, dtype: torch.dtype) -> dict[str, Tensor]:
    """The weights of a base as they lie beside an adapter: matrices in the dtype of the products, vectors in float32.

    In float16, whose range is too small for some bases, matrices are float32 too.
    """
    of_matrices = torch.float32 if dtype == torch.float16 else dtype
    return {
        name: weight.to(device, of_matrices if weight.ndim > 1 else torch.float32) for name, weight in weights.items()
    }


def attach(model: LanguageModel, adapter: Adapter) -> None:
    """Freeze a model and lay the adapter around its maps: from then on only copies of its factors need gradients."""
    net = registry.module(model).requires_grad_(False)
    maps = registry.linear_maps(model)
    for name in adapter.maps:
        parent, _, own = name.rpartition(".")
        factors = adapter.factors[name + A], adapter.factors[name + B]
        setattr(net.get_submodule(parent), own, AdaptedMap(maps[name], *factors, adapter.scale(name)))

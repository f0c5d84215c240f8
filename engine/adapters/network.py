"""A model whose base is frozen and whose linear maps have an adapter beside them that learns.

Shapes: M positions, K inputs, N outputs, R the rank.
"""

from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function

from engine.adapters.adapter import A, Adapter, B
from engine.config.inference import Quantization
from engine.models import registry
from engine.models.base import LanguageModel
from engine.models.functional import computed_in
from engine.models.linear import LinearMap
from engine.models.quantized import QuantizedMatrix, rounded


class _Adapted(Function):
    """``x W' + bias + scale (x A') B'``, added where it belongs; the matrix of the base gets no gradient."""

    scale: float
    matrix_NK: Tensor | QuantizedMatrix

    @staticmethod
    def forward(
        ctx: "_Adapted",
        x: Tensor,
        matrix_NK: Tensor | QuantizedMatrix,
        bias_N: Tensor | None,
        a_RK: Tensor,
        b_NR: Tensor,
        scale: float,
    ) -> Tensor:
        dtype = computed_in(x)
        with torch.autocast(x.device.type, enabled=False):
            x_MK = x.reshape(-1, x.shape[-1]).to(dtype)
            low_a_RK, low_b_NR = a_RK.to(dtype), b_NR.to(dtype)
            bias = None if bias_N is None else bias_N.to(dtype)
            if isinstance(matrix_NK, Tensor):
                out_MN = F.linear(x_MK, matrix_NK.to(dtype), bias)
            else:
                out_MN = matrix_NK.product(x_MK)
                out_MN += 0 if bias is None else bias
            inner_MR = x_MK @ low_a_RK.t()
            out_MN.addmm_(inner_MR, low_b_NR.t(), alpha=scale)
        ctx.save_for_backward(x_MK, low_a_RK, low_b_NR, inner_MR)
        ctx.scale, ctx.matrix_NK = scale, matrix_NK
        return out_MN.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: "_Adapted", gradient: Tensor) -> tuple[Tensor | None, None, None, Tensor, Tensor, None]:
        x_MK, a_RK, b_NR, inner_MR = list(ctx.saved_tensors)
        gradient_MN = gradient.reshape(-1, gradient.shape[-1]).to(x_MK.dtype)
        by_inner_MR = gradient_MN @ b_NR
        by_a_RK = ctx.scale * (by_inner_MR.t() @ x_MK).float()
        by_b_NR = ctx.scale * (gradient_MN.t() @ inner_MR).float()
        if not ctx.needs_input_grad[0]:  # below lies nothing but the frozen embedding
            return None, None, None, by_a_RK, by_b_NR, None
        if isinstance(ctx.matrix_NK, Tensor):
            by_x_MK = gradient_MN @ ctx.matrix_NK.to(x_MK.dtype)
        else:
            by_x_MK = ctx.matrix_NK.gradient(gradient_MN)
        by_x_MK.addmm_(by_inner_MR, a_RK, alpha=ctx.scale)
        return by_x_MK.view(*gradient.shape[:-1], -1), None, None, by_a_RK, by_b_NR, None


_adapted: Callable[[Tensor, Tensor | QuantizedMatrix, Tensor | None, Tensor, Tensor, float], Tensor] = _Adapted.apply


class _Factor(nn.Module):
    """One of the two, under the name that it has in PEFT."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.clone())


class AdaptedMap(LinearMap):
    """A linear map of the base, frozen, and its factors. Of one with a quantized matrix nobody needs the weight."""

    def __init__(
        self, inner: LinearMap, a_RK: Tensor, b_NR: Tensor, scale: float, quantized: QuantizedMatrix | None = None
    ) -> None:
        super().__init__()
        self.across = inner.across
        self.bias = inner.bias
        self._quantized = quantized
        if quantized is None:
            self.weight = inner.weight
        self.lora_A, self.lora_B = _Factor(a_RK), _Factor(b_NR)
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        """[..., K] to [..., N]."""
        matrix_NK = self.matrix if self._quantized is None else self._quantized
        return _adapted(x, matrix_NK, self.bias, self.lora_A.weight, self.lora_B.weight, self.scale)


def frozen(weights: Mapping[str, Tensor], device: torch.device, dtype: torch.dtype) -> dict[str, Tensor]:
    """The weights of a base as they lie beside an adapter: matrices in the dtype of the products, vectors in float32.

    In float16, whose range is too small for some bases, matrices are float32 too.
    """
    of_matrices = torch.float32 if dtype == torch.float16 else dtype
    return {
        name: weight.to(device, of_matrices if weight.ndim > 1 else torch.float32) for name, weight in weights.items()
    }


class FrozenBase:
    """The weights of a base in memory, for models that learn or compute adapters beside it; they share them.

    Args:
        model: of its shape; it may be a skeleton.
        weights: as stored; each is asked for once.
        adapted: the maps that adapters change. With ``quantization`` their matrices are kept quantized; others become
            what their quantized form stands for.
        device: where they go.
        dtype: in which products are computed.
    """

    def __init__(
        self,
        model: LanguageModel,
        weights: Mapping[str, Tensor],
        adapted: Collection[str],
        device: torch.device,
        dtype: torch.dtype,
        quantization: Quantization = "none",
    ) -> None:
        self._weights: dict[str, Tensor] = {}
        self._matrices: dict[str, QuantizedMatrix] = {}
        maps = registry.linear_maps(model)
        for name, weight in weights.items():
            of_map = name.removesuffix(".weight")
            if quantization == "none" or weight.ndim != 2:
                self._weights |= frozen({name: weight}, device, dtype)
                continue
            across = of_map in maps and maps[of_map].across
            weight_NK = weight.t() if across else weight
            if of_map in adapted:
                self._matrices[of_map] = QuantizedMatrix(weight_NK.to(device), quantization)
                self._weights[name] = torch.empty_like(weight, device="meta")  # nobody reads it
            else:
                rounded_NK = rounded(weight_NK, quantization)
                self._weights |= frozen({name: rounded_NK.t() if across else rounded_NK}, device, dtype)

    def under(self, model: LanguageModel, adapter: Adapter) -> None:
        """Give a skeleton these weights, and lay an adapter around its maps."""
        registry.fill(model, self._weights)
        attach(model, adapter, self._matrices)


def attach(
    model: LanguageModel, adapter: Adapter, quantized: Mapping[str, QuantizedMatrix] = MappingProxyType({})
) -> None:
    """Freeze a model and lay the adapter around its maps: from then on only copies of its factors need gradients.

    Of those maps whose matrices are ``quantized`` the weights are let go.
    """
    net = registry.module(model).requires_grad_(False)
    maps = registry.linear_maps(model)
    for name in adapter.maps:
        parent, _, own = name.rpartition(".")
        factors = adapter.factors[name + A], adapter.factors[name + B]
        setattr(
            net.get_submodule(parent), own, AdaptedMap(maps[name], *factors, adapter.scale(name), quantized.get(name))
        )

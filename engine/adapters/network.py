"""A model whose base is frozen and whose linear maps have an adapter beside them that learns.

Shapes: M positions, K inputs, N outputs, R the rank.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function

from engine.adapters.adapter import A, Adapter, B
from engine.config.inference import Quantization
from engine.models import gradients, registry
from engine.models.base import LanguageModel
from engine.models.functional import computed_in
from engine.models.linear import LinearMap, Make
from engine.models.quantized import QuantizedMatrix, rounded


@dataclass(frozen=True)
class _Frozen:
    """What a map has of the base: it gets no gradient."""

    matrix_NK: Tensor | QuantizedMatrix
    bias_N: Tensor | None
    scale: float

    def product(self, x_MK: Tensor) -> Tensor:
        """``x W' + bias`` [M, N], in the dtype of ``x_MK``."""
        bias_N = None if self.bias_N is None else self.bias_N.to(x_MK.dtype)
        if isinstance(self.matrix_NK, Tensor):
            return F.linear(x_MK, self.matrix_NK.to(x_MK.dtype), bias_N)
        out_MN = self.matrix_NK.product(x_MK)
        return out_MN if bias_N is None else out_MN.add_(bias_N)

    def gradient(self, gradient_MN: Tensor, so_far_MK: Tensor | None) -> Tensor:
        """``gradient W`` [M, K], in the dtype of the gradient, added to ``so_far_MK`` where that is given."""
        if not isinstance(self.matrix_NK, Tensor):
            by_x_MK = self.matrix_NK.gradient(gradient_MN)
            return by_x_MK if so_far_MK is None else so_far_MK.add_(by_x_MK)
        matrix_NK = self.matrix_NK.to(gradient_MN.dtype)
        return gradient_MN @ matrix_NK if so_far_MK is None else so_far_MK.addmm_(gradient_MN, matrix_NK)


class _Adapted(Function):
    """``x W' + bias + scale (x A') B'`` of maps that read one x; x is made of the inputs, again on the way back.

    What is cheap to make is not kept: of a gated feed-forward part, for one, what is inside it, but not their product.
    """

    frozen: Sequence[_Frozen]
    make: Make
    count: int

    @staticmethod
    def forward(
        ctx: "_Adapted", frozen: Sequence[_Frozen], make: Make, count: int, *tensors: Tensor
    ) -> tuple[Tensor, ...]:
        inputs, factors = tensors[:count], tensors[count:]
        x = make(inputs)
        dtype = computed_in(x)
        outs, kept = [], []
        with torch.autocast(x.device.type, enabled=False):
            x_MK = x.reshape(-1, x.shape[-1]).to(dtype)
            for each, a_RK, b_NR in zip(frozen, factors[::2], factors[1::2], strict=True):
                out_MN, inner_MR = each.product(x_MK), x_MK @ a_RK.to(dtype).t()
                out_MN.addmm_(inner_MR, b_NR.to(dtype).t(), alpha=each.scale)
                outs.append(out_MN.view(*x.shape[:-1], -1))
                kept.append(inner_MR)
        ctx.save_for_backward(*tensors, *kept)
        ctx.frozen, ctx.make, ctx.count = frozen, make, count
        return tuple(outs)

    @staticmethod
    def backward(ctx: "_Adapted", *gradients_by_map: Tensor) -> tuple[Tensor | None, ...]:
        count, maps = ctx.count, len(ctx.frozen)
        saved = list(ctx.saved_tensors)
        inputs, factors, inner = saved[:count], saved[count:-maps], saved[-maps:]
        wanted = ctx.needs_input_grad[3 : 3 + count]
        inputs = [each.detach().requires_grad_(wants) for each, wants in zip(inputs, wanted, strict=True)]
        with torch.enable_grad():
            x = ctx.make(inputs)
        dtype = inner[0].dtype
        x_MK = x.detach().reshape(-1, x.shape[-1]).to(dtype)
        by_x_MK: Tensor | None = None
        by_factors = []
        given = zip(ctx.frozen, factors[::2], factors[1::2], inner, gradients_by_map, strict=True)
        for each, a_RK, b_NR, inner_MR, gradient in given:
            gradient_MN = gradient.reshape(-1, gradient.shape[-1]).to(dtype)
            by_inner_MR = gradient_MN @ b_NR.to(dtype)
            by_factors.append(each.scale * (by_inner_MR.t() @ x_MK).float())
            by_factors.append(each.scale * (gradient_MN.t() @ inner_MR).float())
            if any(wanted):  # else below lies nothing but the frozen embedding
                by_x_MK = each.gradient(gradient_MN, by_x_MK).addmm_(by_inner_MR, a_RK.to(dtype), alpha=each.scale)
        if by_x_MK is not None:
            with torch.enable_grad():
                gradients.backward(x, by_x_MK.view(x.shape).to(x.dtype))
        return None, None, None, *(each.grad for each in inputs), *by_factors


class _Apply(Protocol):
    def __call__(self, frozen: Sequence[_Frozen], make: Make, count: int, *tensors: Tensor) -> tuple[Tensor, ...]: ...


_adapted: _Apply = _Adapted.apply


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
        return self.together([], lambda read: read[0], [x])[0]

    def together(self, others: Sequence[LinearMap], make: Make, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """As of any map; what is made of the inputs is made again on the way back."""
        maps = [self, *(other for other in others if isinstance(other, AdaptedMap))]
        if len(maps) <= len(others):
            return super().together(others, make, inputs)
        factors = [factor.weight for one in maps for factor in (one.lora_A, one.lora_B)]
        return _adapted([one.frozen() for one in maps], make, len(inputs), *inputs, *factors)

    def frozen(self) -> _Frozen:
        """What it has of the base."""
        return _Frozen(self.matrix if self._quantized is None else self._quantized, self.bias, self.scale)


def frozen(weights: Mapping[str, Tensor], device: torch.device, dtype: torch.dtype) -> dict[str, Tensor]:
    """The weights of a base as they lie beside an adapter: matrices in the dtype of the products, vectors in float32.

    In float16, whose range is too small for some bases, matrices are float32 too.
    """
    return {
        name: weight.to(device, _of_matrices(dtype) if weight.ndim > 1 else torch.float32)
        for name, weight in weights.items()
    }


def _of_matrices(dtype: torch.dtype) -> torch.dtype:
    return torch.float32 if dtype == torch.float16 else dtype


class FrozenBase:
    """The weights of a base in memory, for models that learn or compute adapters beside it; they share them.

    Args:
        model: of its shape; it may be a skeleton.
        weights: as stored; each is asked for once, and let go before the next where it is not kept as it is.
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
                rounded_NK = rounded(weight_NK, quantization, _of_matrices(dtype))
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

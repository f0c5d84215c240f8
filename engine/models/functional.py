"""What the families compute, as functions whose backward passes are written by hand where that is faster on a CPU.

They take fewer passes over memory than those of `torch.nn.functional`, and there passes cost the time.

Shapes: N vectors of width D; B rows, T positions, H heads, E width of a head; V vocabulary, U ids that occur.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function
from torch.nn import Parameter

from engine.native import library
from engine.native.library import Kernel

_FLOATS = torch.float32
_HEAD_ROWS = 8192
"""Of the gradient of a head, computed at once: of more, products are slower, and what comes out leaves the caches."""


_PART_OF_HEAD = 512
"""Rows of a head in bf16 that are converted at once."""


def computed_in(x: Tensor) -> torch.dtype:
    """The dtype that products with ``x`` run in here: autocast's, else its own."""
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype


class _Norm(Function):
    """By the kernel; what goes out is in the dtype of the products that follow, cast once."""

    kernel: Kernel
    has_bias: bool

    @staticmethod
    def forward(
        ctx: "_Norm",
        x: Tensor,
        weight_D: Tensor,
        bias_D: Tensor | None,
        epsilon: float,
        dtype: torch.dtype,
        kernel: Kernel,
    ) -> Tensor:
        x_ND = x.reshape(-1, x.shape[-1]).contiguous()
        out_ND, means_N, scales_N = kernel.norm(x_ND, weight_D, bias_D, epsilon, dtype)
        ctx.save_for_backward(x_ND, weight_D, means_N, scales_N)
        ctx.kernel, ctx.has_bias = kernel, bias_D is not None
        return out_ND.view(x.shape)

    @staticmethod
    def backward(ctx: "_Norm", gradient: Tensor) -> tuple[Tensor, Tensor, Tensor | None, None, None, None]:
        x_ND, weight_D, means_N, scales_N = list(ctx.saved_tensors)
        gradient_ND = gradient.reshape(x_ND.shape).contiguous()
        by_x_ND, by_weight_D, by_bias_D = ctx.kernel.norm_backward(
            gradient_ND, x_ND, weight_D, means_N, scales_N, has_bias=ctx.has_bias
        )
        return by_x_ND.view(gradient.shape), by_weight_D, by_bias_D, None, None, None


class _Rotate(Function):
    """Turns by an angle; the gradient turns back. Each comes out as the products that follow read it."""

    @staticmethod
    def forward(ctx: "_Rotate", x_BHTE: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return _turned(x_BHTE, cos, sin, 1.0)

    @staticmethod
    def backward(ctx: "_Rotate", gradient_BHTE: Tensor) -> tuple[Tensor, None, None]:
        cos, sin = list(ctx.saved_tensors)
        return _turned(gradient_BHTE, cos, sin, -1.0), None, None


def _turned(x_BHTE: Tensor, cos: Tensor, sin: Tensor, sign: float) -> Tensor:
    """Turned one way, or back; in memory [B, H, T, E], as attention reads it, or back [B, T, H, E], as projections."""
    batch, heads, length, width = x_BHTE.shape
    if sign > 0:
        out_BHTE = x_BHTE.new_empty(x_BHTE.shape)
    else:
        out_BHTE = x_BHTE.new_empty(batch, length, heads, width).transpose(1, 2)
    if (kernel := library.kernel_for(x_BHTE)) is not None and x_BHTE.stride(-1) == 1 and cos.dtype == _FLOATS:
        cos, sin = (part.expand(batch, 1, length, width).contiguous() for part in (cos, sin))
        kernel.rotate(x_BHTE, cos, sin, out_BHTE, sign)
        return out_BHTE
    cos, sin = cos.to(x_BHTE.dtype), sin.to(x_BHTE.dtype)
    torch.mul(x_BHTE, cos, out=out_BHTE)
    (first, second), (sin_first, sin_second) = x_BHTE.chunk(2, dim=-1), sin.chunk(2, dim=-1)
    out_first, out_second = out_BHTE.chunk(2, dim=-1)
    out_first.addcmul_(second, sin_first, value=-sign)
    out_second.addcmul_(first, sin_second, value=sign)
    return out_BHTE


class _Gelu(Function):
    """By the kernel."""

    kernel: Kernel

    @staticmethod
    def forward(ctx: "_Gelu", x: Tensor, kernel: Kernel) -> Tensor:
        ctx.save_for_backward(x)
        ctx.kernel = kernel
        return kernel.gelu(x)

    @staticmethod
    def backward(ctx: "_Gelu", gradient: Tensor) -> tuple[Tensor, None]:
        (x,) = list(ctx.saved_tensors)
        return ctx.kernel.gelu_backward(gradient.contiguous(), x), None


class _Gated(Function):
    """By the kernel."""

    kernel: Kernel

    @staticmethod
    def forward(ctx: "_Gated", gate: Tensor, other: Tensor, kernel: Kernel) -> Tensor:
        ctx.save_for_backward(gate, other)
        ctx.kernel = kernel
        return kernel.gated(gate, other)

    @staticmethod
    def backward(ctx: "_Gated", gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        gate, other = list(ctx.saved_tensors)
        return *ctx.kernel.gated_backward(gradient.contiguous(), gate, other), None


class _Scores(Function):
    """The gradient of the weight comes in blocks, each in float32 and where it belongs before it leaves the caches.

    A gradient that is there already is added to in place, as autograd would, but without one more of its size.
    """

    @staticmethod
    def forward(ctx: "_Scores", x_ND: Tensor, weight_VD: Tensor) -> Tensor:
        ctx.save_for_backward(x_ND.to(computed_in(x_ND)), weight_VD)
        return F.linear(x_ND, weight_VD)

    @staticmethod
    def backward(ctx: "_Scores", gradient_NV: Tensor) -> tuple[Tensor, Tensor | None]:
        x_ND, weight_VD = list(ctx.saved_tensors)
        there_VD = weight_VD.grad
        by_weight_VD = torch.empty_like(weight_VD) if there_VD is None else there_VD
        for start in range(0, len(weight_VD), _HEAD_ROWS):
            rows = slice(start, start + _HEAD_ROWS)
            columns_nN = gradient_NV[:, rows].t()
            if gradient_NV.dtype == weight_VD.dtype:  # the product itself writes where it belongs, or adds
                by_weight_VD[rows].addmm_(columns_nN, x_ND, beta=0 if there_VD is None else 1)
            elif there_VD is None:
                by_weight_VD[rows] = columns_nN @ x_ND
            else:
                by_weight_VD[rows] += columns_nN @ x_ND
        dtype = gradient_NV.dtype
        with torch.autocast("cpu", dtype, enabled=dtype != weight_VD.dtype):  # which has the weight in it already
            by_x_ND = gradient_NV @ weight_VD
        return by_x_ND, by_weight_VD if there_VD is None else None


class _Embedding(Function):
    """Where the weight has a gradient already, as that of a tied head, only rows that occur are added to it."""

    @staticmethod
    def forward(ctx: "_Embedding", ids_BT: Tensor, weight_VD: Tensor) -> Tensor:
        ctx.save_for_backward(ids_BT, weight_VD)
        return F.embedding(ids_BT, weight_VD)

    @staticmethod
    def backward(ctx: "_Embedding", gradient_BTD: Tensor) -> tuple[None, Tensor | None]:
        ids_BT, weight_VD = list(ctx.saved_tensors)
        ids_U, places_N = torch.unique(ids_BT.flatten(), return_inverse=True)
        rows_UD = gradient_BTD.new_zeros(len(ids_U), weight_VD.shape[1])
        rows_UD.index_add_(0, places_N, gradient_BTD.reshape(len(places_N), -1))
        if weight_VD.grad is None:
            return None, torch.zeros_like(weight_VD).index_copy_(0, ids_U, rows_UD)
        weight_VD.grad.index_add_(0, ids_U, rows_UD)
        return None, None


_norm: Callable[[Tensor, Tensor, Tensor | None, float, torch.dtype, Kernel], Tensor] = _Norm.apply
_rotate: Callable[[Tensor, Tensor, Tensor], Tensor] = _Rotate.apply
_gelu: Callable[[Tensor, Kernel], Tensor] = _Gelu.apply
_gated: Callable[[Tensor, Tensor, Kernel], Tensor] = _Gated.apply
_scores: Callable[[Tensor, Tensor], Tensor] = _Scores.apply
_embedding: Callable[[Tensor, Tensor], Tensor] = _Embedding.apply


def scores(x_ND: Tensor, weight_VD: Tensor) -> Tensor:
    """Those [N, V] over a vocabulary: the product with its head. Where a CPU answers in bf16 they are float32."""
    if _learns_here(weight_VD):
        return _scores(x_ND, weight_VD)
    if _answers_in_bf16(weight_VD):
        return _scores_in_float32(x_ND, weight_VD)
    return F.linear(x_ND, weight_VD)


def _answers_in_bf16(weight_VD: Tensor) -> bool:
    """Whether a table in bf16 is read on a CPU, and no gradients are wanted."""
    plain = weight_VD.device.type == "cpu" and type(weight_VD) in {Tensor, Parameter}
    return plain and weight_VD.dtype == torch.bfloat16 and not torch.is_grad_enabled()


def _scores_in_float32(x_ND: Tensor, weight_VD: Tensor) -> Tensor:
    """In bf16 the best two are often equal. A part of the head is converted at a time, and read while it is cached."""
    x_ND = x_ND.float()
    parts = (F.linear(x_ND, part_VD.float()) for part_VD in torch.split(weight_VD, _PART_OF_HEAD))
    return torch.cat(tuple(parts), dim=-1)


def softcapped(scores: Tensor, bound: float) -> Tensor:
    """Scores drawn smoothly between minus and plus ``bound``; with a bound of 0 as they are."""
    return torch.tanh(scores / bound) * bound if bound else scores


def losses(scores_NV: Tensor, targets_N: Tensor) -> Tensor:
    """Cross-entropies [N] in float32, without gradients."""
    if (kernel := library.kernel_for(scores_NV)) is None:
        return F.cross_entropy(scores_NV.float(), targets_N, reduction="none")
    return kernel.losses(scores_NV.contiguous(), targets_N.contiguous())


def embedding(ids_BT: Tensor, weight_VD: Tensor) -> Tensor:
    """The rows of the ids, [B, T, D]; in training in float32, for what layers add to them is small."""
    if _learns_here(weight_VD):
        return _embedding(ids_BT, weight_VD)
    rows_BTD = F.embedding(ids_BT, weight_VD)
    return rows_BTD.float() if torch.is_autocast_enabled(rows_BTD.device.type) else rows_BTD


def _learns_here(weight_VD: Tensor) -> bool:
    """Whether gradients of a table are wanted, on a CPU, and it is whole: of another class are parts of it."""
    learns = torch.is_grad_enabled() and weight_VD.requires_grad and weight_VD.device.type == "cpu"
    return learns and type(weight_VD) is Parameter and not torch.compiler.is_compiling()


def rms_norm(x: Tensor, weight_D: Tensor, epsilon: float) -> Tensor:
    """Vectors [..., D] to unit mean square, times the weight, in the dtype of the products that follow."""
    if (kernel := _norms_by(x, weight_D)) is None:
        return F.rms_norm(x, weight_D.shape, weight_D.to(x.dtype), epsilon).to(computed_in(x))
    return _norm(x, weight_D, None, epsilon, computed_in(x), kernel)


def layer_norm(x: Tensor, weight_D: Tensor, bias_D: Tensor, epsilon: float) -> Tensor:
    """Vectors [..., D] to mean 0 and variance 1, times the weight, plus the bias, in the dtype of the products."""
    if (kernel := _norms_by(x, weight_D)) is None:
        return F.layer_norm(x, weight_D.shape, weight_D.to(x.dtype), bias_D.to(x.dtype), epsilon).to(computed_in(x))
    return _norm(x, weight_D, bias_D, epsilon, computed_in(x), kernel)


def _norms_by(x: Tensor, weight_D: Tensor) -> Kernel | None:
    """The kernel where weights are in float32, as they are in training."""
    return library.kernel_for(x) if weight_D.dtype == _FLOATS else None


def gelu(x: Tensor) -> Tensor:
    """GELU in its tanh form, of any shape."""
    if (kernel := library.kernel_for(x)) is None:
        return F.gelu(x, approximate="tanh")
    return _gelu(x.contiguous(), kernel)


def gated(gate: Tensor, other: Tensor) -> Tensor:
    """SwiGLU's product: SiLU of the gate, times the other part, which is of its shape and dtype."""
    if (kernel := library.kernel_for(gate)) is None:
        return F.silu(gate) * other
    return _gated(gate.contiguous(), other.contiguous(), kernel)


def rotate(x_BHTE: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Heads turned by cosines and sines [B, 1, T, E]; alike with gradients and without, to the bit."""
    if torch.is_grad_enabled():
        return _rotate(x_BHTE, cos, sin)
    return _turned(x_BHTE, cos, sin, 1.0)


def is_finite(weight: Tensor) -> bool:
    """Whether all are finite numbers.

    By the smallest and the largest, which NaN would be: in a fifteenth of the time that a look at each takes.
    """
    return not weight.numel() or all(bool(extreme.isfinite()) for extreme in torch.aminmax(weight))

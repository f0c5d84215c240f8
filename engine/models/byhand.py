"""Forward and backward written by hand: fewer passes over memory than torch's own on a CPU, where passes cost the time.

Shapes: N vectors of width D; B rows, T positions, H heads, E width of a head.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function

from engine.native import library
from engine.native.library import Kernel

_FLOATS = torch.float32


def computed_in(x: Tensor) -> torch.dtype:
    """The dtype that products with ``x`` run in here: autocast's, else its own."""
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype


class _RmsNorm(Function):
    """In float32 whatever comes in; what goes out is in the dtype of the products that follow, cast once."""

    @staticmethod
    def forward(ctx: "_RmsNorm", x: Tensor, weight_D: Tensor, epsilon: float, dtype: torch.dtype) -> Tensor:
        x_ND = x.reshape(-1, x.shape[-1]).to(_FLOATS)
        norm_N1: Tensor = torch.linalg.vector_norm(x_ND, dim=-1, keepdim=True)
        scale_N1 = norm_N1.square_().div_(x.shape[-1]).add_(epsilon).rsqrt_()
        ctx.save_for_backward(x, weight_D, scale_N1)
        return (x_ND * scale_N1).mul_(weight_D).to(dtype).view(x.shape)

    @staticmethod
    def backward(ctx: "_RmsNorm", gradient: Tensor) -> tuple[Tensor, Tensor, None, None]:
        x, weight_D, scale_N1 = list(ctx.saved_tensors)
        with torch.autocast(x.device.type, enabled=False):
            x_ND = x.reshape(-1, x.shape[-1]).to(_FLOATS)
            gradient_ND = gradient.reshape(x_ND.shape).to(_FLOATS)
            product_ND = gradient_ND * x_ND
            weight_gradient = product_ND.t().mv(scale_N1.squeeze(1))
            along_N1 = product_ND.mv(weight_D.to(_FLOATS))[:, None] * scale_N1.pow(3).div_(x.shape[-1])
            inner_ND = torch.mul(gradient_ND, weight_D).mul_(scale_N1).addcmul_(x_ND, along_N1, value=-1)
        return inner_ND.to(x.dtype).view(x.shape), weight_gradient.to(weight_D.dtype), None, None


class _Rotate(Function):
    """Turns by an angle; the gradient turns back."""

    @staticmethod
    def forward(ctx: "_Rotate", x_BHTE: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return _turned(x_BHTE, cos, sin, 1.0)

    @staticmethod
    def backward(ctx: "_Rotate", gradient_BHTE: Tensor) -> tuple[Tensor, None, None]:
        cos, sin = list(ctx.saved_tensors)
        return _turned(gradient_BHTE, cos, sin, -1.0), None, None


def _turned(x_BHTE: Tensor, cos: Tensor, sin: Tensor, sign: float) -> Tensor:
    out_BHTE = torch.empty(x_BHTE.shape, dtype=x_BHTE.dtype, device=x_BHTE.device)
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


rms_norm: Callable[[Tensor, Tensor, float, torch.dtype], Tensor] = _RmsNorm.apply
"""Vectors [..., D], weight [D], epsilon, and the dtype wanted."""
_rotate: Callable[[Tensor, Tensor, Tensor], Tensor] = _Rotate.apply
_gelu: Callable[[Tensor, Kernel], Tensor] = _Gelu.apply
_gated: Callable[[Tensor, Tensor, Kernel], Tensor] = _Gated.apply


def gelu(x: Tensor) -> Tensor:
    """GELU in its tanh form."""
    if (kernel := library.kernel_for(x)) is None:
        return F.gelu(x, approximate="tanh")
    return _gelu(x.contiguous(), kernel)


def gated(gate: Tensor, other: Tensor) -> Tensor:
    """SwiGLU's product: SiLU of the gate, times the other part, which is of its shape and dtype."""
    if (kernel := library.kernel_for(gate)) is None:
        return F.silu(gate) * other
    return _gated(gate.contiguous(), other.contiguous(), kernel)


def rotate(x_BHTE: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Heads turned by cosines and sines [B, 1, T, E] of one dtype; alike with gradients and without, to the bit."""
    if torch.is_grad_enabled():
        return _rotate(x_BHTE, cos, sin)
    return _turned(x_BHTE, cos, sin, 1.0)

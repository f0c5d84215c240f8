"""Weights as the kernel reads them: quantized, where asked for, and laid out in panels of 16 outputs.

Shapes: N outputs, K inputs (both padded: N to 16, K to 32), P panels, G groups of 32 inputs.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.config.inference import Quantization
from engine.models.quantized import GROUP, quantized

LANES = 16


@dataclass(frozen=True, slots=True)
class Packed:
    """One matrix [N, K]. ``scales`` are there where weights are quantized; ``bias`` where the product has one."""

    format: str
    outputs: int
    inputs: int
    weights: Tensor
    scales: Tensor | None
    bias: Tensor | None

    @property
    def tensors(self) -> list[Tensor]:
        """All that it holds in memory."""
        return [tensor for tensor in (self.weights, self.scales, self.bias) if tensor is not None]


def pack(weight_NK: Tensor, bias_N: Tensor | None, quantization: Quantization) -> Packed:
    """Lay a matrix out; unquantized it stays in its dtype, which must be float32 or bfloat16.

    The weights may be a view that is in the kernel's order only when it is copied.
    """
    outputs, inputs = weight_NK.shape
    missing = (0, -inputs % GROUP, 0, -outputs % LANES)
    padded_NK = F.pad(weight_NK, missing) if any(missing) else weight_NK
    bias = None if bias_N is None else bias_N.to(torch.float32, copy=True)  # and no view of a mapped file
    if quantization != "none":
        values_NK, scales_NG = quantized(padded_NK, quantization)
        scales_PGL = scales_NG.view(-1, LANES, scales_NG.shape[1]).transpose(1, 2).contiguous()
        if quantization == "int8":
            steps_NK = _paired((values_NK + 128).to(torch.uint8))
        else:
            steps = (values_NK + 8).to(torch.uint8).view(len(values_NK), -1, 2, 4)
            steps_NK = _paired((steps[:, :, 0] | steps[:, :, 1] << 4).flatten(1))
        return Packed(quantization, outputs, inputs, panels(steps_NK, 4), scales_PGL, bias)
    if weight_NK.dtype == torch.bfloat16:
        return Packed("bf16", outputs, inputs, panels(padded_NK, 2), None, bias)
    return Packed("fp32", outputs, inputs, panels(padded_NK.float(), 1), None, bias)


def padded(outputs: int, inputs: int) -> int:
    """Numbers that a matrix has once it is laid out."""
    return (outputs + -outputs % LANES) * (inputs + -inputs % GROUP)


def _paired(values_NK: Tensor) -> Tensor:
    """Of each four the middle two exchanged: two neighbours are then the even bytes of 32 bits, the others the odd."""
    return values_NK.view(len(values_NK), -1, 2, 2).transpose(2, 3).flatten(1)


def panels(values_NK: Tensor, together: int) -> Tensor:
    """[P, K / together, 16, together]: outputs side by side, each with so many inputs. A view."""
    return values_NK.reshape(-1, LANES, values_NK.shape[1] // together, together).transpose(1, 2)

"""Weights as the kernel reads them: quantized, where asked for, and laid out in panels of 16 outputs.

Shapes: N outputs, K inputs (both padded: N to 16, K to 32), P panels, G groups of 32 inputs.

Each 32 inputs of an output have a scale in bfloat16. 8 bits: the largest weight is at 127. 4 bits: the weight that is
largest by magnitude is at -8 (as llama.cpp's Q4_0).
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.config.inference import Quantization

LANES = 16
GROUP = 32
_ROWS_AT_ONCE = 64
"""Of a matrix, so that what is computed of them stays in the caches."""
_TINY = 1e-37
"""Smaller scales are as good as 0."""


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
        values_NK, scales_NG = _quantized(padded_NK, quantization)
        scales_PGL = scales_NG.view(-1, LANES, scales_NG.shape[1]).transpose(1, 2).contiguous()
        if quantization == "int8":
            steps_NK = _paired((values_NK + 128).to(torch.uint8))
        else:
            steps = (values_NK + 8).to(torch.uint8).view(len(values_NK), -1, 2, 4)
            steps_NK = _paired((steps[:, :, 0] | steps[:, :, 1] << 4).flatten(1))
        return Packed(quantization, outputs, inputs, _panels(steps_NK, 4), scales_PGL, bias)
    if weight_NK.dtype == torch.bfloat16:
        return Packed("bf16", outputs, inputs, _panels(padded_NK, 2), None, bias)
    return Packed("fp32", outputs, inputs, _panels(padded_NK.float(), 1), None, bias)


def rounded(weight_NK: Tensor, quantization: Quantization) -> Tensor:
    """The weights that a quantized matrix stands for, [N, K] in float32."""
    if quantization == "none":
        return weight_NK.float()
    inputs = weight_NK.shape[1]
    padded_NK = F.pad(weight_NK, (0, -inputs % GROUP))
    values_NK, scales_NG = _quantized(padded_NK, quantization)
    return (values_NK.view(len(values_NK), -1, GROUP) * scales_NG[:, :, None]).flatten(1)[:, :inputs]


def _quantized(weight_NK: Tensor, quantization: Quantization) -> tuple[Tensor, Tensor]:
    """Whole numbers [N, K] as float32, and what one of them is worth in each group, [N, G] in bfloat16.

    On the device ``meta`` nothing is computed.
    """
    scales_of, least, most = (_scales_of_8_bits, -127, 127) if quantization == "int8" else (_scales_of_4_bits, -8, 7)
    values_NK = weight_NK.new_empty(weight_NK.shape, dtype=torch.float32)
    scales_NG = weight_NK.new_empty((len(weight_NK), weight_NK.shape[1] // GROUP), dtype=torch.bfloat16)
    for first in range(0, 0 if weight_NK.is_meta else len(weight_NK), _ROWS_AT_ONCE):
        rows = slice(first, first + _ROWS_AT_ONCE)
        groups_NGK = weight_NK[rows].float().reshape(-1, weight_NK.shape[1] // GROUP, GROUP)
        scales_NG[rows] = scales_of(groups_NGK)
        steps_NGK = groups_NGK * _inverse(scales_NG[rows].float())[:, :, None]
        values_NK[rows] = steps_NGK.round_().clamp_(least, most).flatten(1)
    return values_NK, scales_NG


def _scales_of_8_bits(groups_NGK: Tensor) -> Tensor:
    return groups_NGK.abs().amax(2) / 127


def _scales_of_4_bits(groups_NGK: Tensor) -> Tensor:
    return groups_NGK.gather(2, groups_NGK.abs().argmax(2, keepdim=True))[:, :, 0] / -8


def _inverse(values: Tensor) -> Tensor:
    """1 through each, and 0 where that has no end."""
    return torch.where(values.abs() < _TINY, 0.0, 1 / values)


def _paired(values_NK: Tensor) -> Tensor:
    """Of each four the middle two exchanged: two neighbours are then the even bytes of 32 bits, the others the odd."""
    return values_NK.view(len(values_NK), -1, 2, 2).transpose(2, 3).flatten(1)


def _panels(values_NK: Tensor, together: int) -> Tensor:
    """[P, K / together, 16, together]: outputs side by side, each with so many inputs."""
    panels = values_NK.reshape(-1, LANES, values_NK.shape[1] // together, together)
    return panels.transpose(1, 2)

"""Weights as the kernel reads them: quantized, where asked for, and laid out in panels of 16 outputs.

Shapes: N outputs, K inputs (both padded: N to 16, K to 32), P panels, G groups of 32 inputs.

8 bits: one scale an output, the largest weight at 127. 4 bits: one scale for 32 inputs of an output, the weight that
is largest by magnitude at -8 (as llama.cpp's Q4_0).
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.config.inference import Quantization

LANES = 16
GROUP = 32


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
    if quantization == "int8":
        values_NK, scales_N = _to_8_bits(padded_NK)
        return Packed("int8", outputs, inputs, _panels(_paired((values_NK + 128).to(torch.uint8)), 4), scales_N, bias)
    if quantization == "int4":
        values_NK, scales_NG = _to_4_bits(padded_NK)
        steps = (values_NK + 8).to(torch.uint8).view(len(values_NK), -1, 2, 4)
        both_NK = _paired((steps[:, :, 0] | steps[:, :, 1] << 4).flatten(1))
        scales_PGL = scales_NG.view(-1, LANES, scales_NG.shape[1]).transpose(1, 2).contiguous()
        return Packed("int4", outputs, inputs, _panels(both_NK, 4), scales_PGL, bias)
    if weight_NK.dtype == torch.bfloat16:
        return Packed("bf16", outputs, inputs, _panels(padded_NK, 2), None, bias)
    return Packed("fp32", outputs, inputs, _panels(padded_NK.float(), 1), None, bias)


def rounded(weight_NK: Tensor, quantization: Quantization) -> Tensor:
    """The weights that a quantized matrix stands for, [N, K] in float32."""
    if quantization == "none":
        return weight_NK.float()
    inputs = weight_NK.shape[1]
    padded_NK = F.pad(weight_NK, (0, -inputs % GROUP))
    if quantization == "int8":
        values_NK, scales_N = _to_8_bits(padded_NK)
        return (values_NK * scales_N[:, None])[:, :inputs]
    values_NK, scales_NG = _to_4_bits(padded_NK)
    return (values_NK.view(len(values_NK), -1, GROUP) * scales_NG[:, :, None]).flatten(1)[:, :inputs]


def _to_8_bits(weight_NK: Tensor) -> tuple[Tensor, Tensor]:
    """Whole numbers from -127 to 127 (as float32), and what one of them is worth in each row."""
    weight_NK = weight_NK.float()
    scales_N = weight_NK.abs().amax(1) / 127
    return _divided(weight_NK, scales_N[:, None]).round(), scales_N


def _to_4_bits(weight_NK: Tensor) -> tuple[Tensor, Tensor]:
    """Whole numbers from -8 to 7 (as float32), and what one of them is worth in each group of each row."""
    groups_NGK = weight_NK.float().reshape(len(weight_NK), -1, GROUP)
    largest_NG = groups_NGK.gather(2, groups_NGK.abs().argmax(2, keepdim=True))[:, :, 0]
    scales_NG = largest_NG / -8
    return _divided(groups_NGK, scales_NG[:, :, None]).round().clamp(-8, 7).flatten(1), scales_NG


def _divided(values: Tensor, scales: Tensor) -> Tensor:
    return torch.where(scales == 0, torch.zeros_like(values), values / scales)


def _paired(values_NK: Tensor) -> Tensor:
    """Of each four the middle two exchanged: two neighbours are then the even bytes of 32 bits, the others the odd."""
    return values_NK.view(len(values_NK), -1, 2, 2).transpose(2, 3).flatten(1)


def _panels(values_NK: Tensor, together: int) -> Tensor:
    """[P, K / together, 16, together]: outputs side by side, each with so many inputs."""
    panels = values_NK.reshape(-1, LANES, values_NK.shape[1] // together, together)
    return panels.transpose(1, 2)

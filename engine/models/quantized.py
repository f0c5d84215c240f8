"""Weights in 8 and 4 bits. Shapes: M tokens, N outputs, K inputs (padded to 32), G groups of 32 inputs.

Each 32 inputs of an output have a scale in bfloat16. 8 bits: the largest weight is at 127. 4 bits: the weight that is
largest by magnitude is at -8 (as llama.cpp's Q4_0); then the scale is the one with the least squares of errors for the
steps that weights have so, in which each counts by its own square (as in llama.cpp's `make_qx_quants`).
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.config.inference import Quantization

GROUP = 32
_ROWS_AT_ONCE = 64
"""Of a matrix, so that what is computed of them stays in the caches."""
_ROUNDED_AT_ONCE = 1024
"""Of a matrix, so that it is not held in float32 besides."""
_TINY = 1e-37
"""Smaller scales are as good as 0."""


def rounded(weight_NK: Tensor, quantization: Quantization, dtype: torch.dtype = torch.float32) -> Tensor:
    """The weights that a quantized matrix stands for, [N, K], in ``dtype``."""
    if quantization == "none":
        return weight_NK.to(dtype)
    inputs = weight_NK.shape[1]
    out_NK = torch.empty_like(weight_NK, dtype=dtype)
    for first in range(0, 0 if weight_NK.is_meta else len(weight_NK), _ROUNDED_AT_ONCE):
        rows = slice(first, first + _ROUNDED_AT_ONCE)
        values_NK, scales_NG = quantized(F.pad(weight_NK[rows], (0, -inputs % GROUP)), quantization)
        out_NK[rows] = (values_NK.view(len(values_NK), -1, GROUP) * scales_NG[:, :, None]).flatten(1)[:, :inputs]
    return out_NK


def quantized(weight_NK: Tensor, quantization: Quantization) -> tuple[Tensor, Tensor]:
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
    largest_NG1 = groups_NGK.gather(2, groups_NGK.abs().argmax(2, keepdim=True))
    shares_NGK = groups_NGK * _inverse(largest_NG1)  # up to 1: squares of small weights would be 0
    steps_NGK = (shares_NGK * -8).round_().clamp_(-8, 7)
    counted_NGK = shares_NGK.square() * steps_NGK
    products_NG, squares_NG = (counted_NGK * shares_NGK).sum(2), (counted_NGK * steps_NGK).sum(2)
    return largest_NG1[:, :, 0] * products_NG * _inverse(squares_NG)


def _inverse(values: Tensor) -> Tensor:
    """1 through each, and 0 where that has no end."""
    return torch.where(values.abs() < _TINY, 0.0, 1 / values)


class QuantizedMatrix:
    """A frozen matrix [N, K] in 8 or 4 bits, for products with many tokens; some outputs at a time are unpacked.

    Attributes:
        shape: N and K, as the matrix had them.
    """

    _OUTPUTS_AT_ONCE = 256

    def __init__(self, weight_NK: Tensor, quantization: Quantization) -> None:
        self.shape = weight_NK.shape
        padded_NK = F.pad(weight_NK, (0, -weight_NK.shape[1] % GROUP))
        values_NK, self._scales_NG = quantized(padded_NK, quantization)
        self._is_packed = quantization == "int4"
        if self._is_packed:
            halves = (values_NK + 8).to(torch.uint8).view(len(values_NK), -1, 2, GROUP // 2)
            self._values = halves[:, :, 0].bitwise_or(halves[:, :, 1].bitwise_left_shift(4))
        else:
            self._values = values_NK.to(torch.int8).view(len(values_NK), -1, GROUP)

    @property
    def nbytes(self) -> int:
        """Bytes that it takes."""
        return self._values.nbytes + self._scales_NG.nbytes

    def product(self, x_MK: Tensor) -> Tensor:
        """``x W'``, [M, N], in the dtype of ``x_MK``."""
        out_MN = x_MK.new_empty(len(x_MK), self.shape[0])
        for first, weight_NK in self._unpacked(x_MK.dtype):
            out_MN[:, first : first + len(weight_NK)] = x_MK @ weight_NK.t()
        return out_MN

    def gradient(self, gradient_MN: Tensor) -> Tensor:
        """``gradient W``, [M, K], in its dtype, added up in float32."""
        by_x_MK = gradient_MN.new_zeros(len(gradient_MN), self.shape[1], dtype=torch.float32)
        for first, weight_NK in self._unpacked(gradient_MN.dtype):
            by_x_MK += gradient_MN[:, first : first + len(weight_NK)] @ weight_NK
        return by_x_MK.to(gradient_MN.dtype)

    def _unpacked(self, dtype: torch.dtype) -> Iterator[tuple[int, Tensor]]:
        """Some outputs after the other, each time with the number of the first."""
        for first in range(0, self.shape[0], self._OUTPUTS_AT_ONCE):
            outputs = slice(first, first + self._OUTPUTS_AT_ONCE)
            stored = self._values[outputs]
            if self._is_packed:
                stored = torch.cat((stored.bitwise_and(15), stored.bitwise_right_shift(4)), dim=2).to(torch.int8) - 8
            weight_NGK = stored.to(dtype) * self._scales_NG[outputs, :, None].to(dtype)
            yield first, weight_NGK.flatten(1)[:, : self.shape[1]]

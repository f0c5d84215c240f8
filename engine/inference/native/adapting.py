"""An adapter as the kernel computes it beside the products of a program (`engine/native/adapters.h`).

    LINEAR  W: source to target          as the program has it
            A: source to inner           [R, K]
            B: inner to target, added    [N, R], times the scale

Of a product of several maps, whose matrices lie one below the other, the As do too, and the Bs lie along a diagonal.
The program stays as it is: which factors are for a token is said with each call.

Shapes: K inputs, N outputs, R the rank.
"""

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from engine.adapters.adapter import A, Adapter, B
from engine.inference.native import packing
from engine.inference.native.arena import Arena
from engine.inference.native.program import Program, described
from engine.native import library
from engine.native.structures import Factors


@dataclass(frozen=True)
class PackedAdapter:
    """The factors of one adapter.

    Attributes:
        factors: of each product of the program that can be adapted, as the kernel reads them.
        kept: tensors whose addresses those hold.
        width: the most numbers that the first factors of a product make of a token.
        weights: how many weights there are.
    """

    factors: ctypes.Array[Factors]
    kept: tuple[Tensor, ...]
    width: int
    weights: int


def pack(program: Program, adapter: Adapter) -> PackedAdapter:
    """Lay the factors of an adapter out for a program, in the dtype of its model.

    Raises:
        ValueError: nothing can be added to one of the adapted products, because GELU is applied to it at once.
    """
    factors, arena = (Factors * len(program.adapted))(), Arena()
    kept: list[Tensor] = []
    width = weights = 0
    for step, of_product in zip(program.adapted, factors, strict=True):
        if not any(name + A in adapter.factors for name in step.maps):
            continue
        if step.operation.finish == library.GELU:
            raise ValueError(f"{', '.join(step.maps)}: nothing can be added to what GELU is applied to at once")
        a_RK, b_NR = _stacked(step.maps, adapter)
        b_NR.mul_(step.factor)
        parts = [packing.pack(part.to(program.cache_dtype), None, "none") for part in (a_RK, b_NR)]
        held = [replace(part, weights=arena.take(part.weights)) for part in parts]
        kept += [part.weights for part in held]
        of_product.a, of_product.b = map(described, held)
        width, weights = max(width, len(a_RK)), weights + a_RK.numel() + b_NR.numel()
    return PackedAdapter(factors, tuple(kept), width, weights)


def _stacked(maps: Mapping[str, int], adapter: Adapter) -> tuple[Tensor, Tensor]:
    """The factors of maps that lie one below the other, in float32; those that are not adapted have no rank.

    Copied in place: to make new ones on the device ``meta``, as by ``torch.cat``, torch imports its compiler.
    """
    factors = adapter.factors
    ranks = {name: len(factors[name + A]) for name in maps if name + A in factors}
    first = factors[next(iter(ranks)) + A]
    a_RK = first.new_empty((sum(ranks.values()), first.shape[1]), dtype=torch.float32)
    b_NR = a_RK.new_zeros((sum(maps.values()), len(a_RK)))
    row, column = 0, 0
    for name, outputs in maps.items():
        if name in ranks:
            end = column + ranks[name]
            a_RK[column:end] = factors[name + A]
            block = b_NR[row : row + outputs, column:end]
            block.copy_(factors[name + B]).mul_(adapter.scale(name))
            column = end
        row += outputs
    return a_RK, b_NR

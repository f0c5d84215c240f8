"""An adapter as the kernel computes it beside the products of a program (`engine/native/adapters.h`).

    LINEAR  W: source to target          as the program has it
            A: source to inner           [R, K]
            B: inner to target, added    [N, R], times the scale

Of a product of several maps, whose matrices lie one below the other, the As do too. Of the Bs, which lie along a
diagonal, only what is not 0 is there: each panel of 16 outputs has the weights of its own map.
The program stays as it is: which factors are for a token is said with each call.

Shapes: K inputs, N outputs, R the rank, of each map rounded up to an even number; P panels.
"""

import ctypes
import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from engine.adapters.adapter import A, Adapter, B
from engine.inference.native import packing
from engine.inference.native.arena import Arena
from engine.inference.native.packing import LANES
from engine.inference.native.program import KernelStep, Program, described
from engine.native import library
from engine.native.structures import Factors, Span


@dataclass(frozen=True)
class PackedAdapter:
    """The factors of one adapter.

    Attributes:
        factors: of each product of the program that can be adapted, as the kernel reads them.
        spans: of each of these, which numbers a panel of B takes; `factors` holds their addresses.
        kept: tensors whose addresses those hold.
        width: the most numbers that the first factors of a product make of a token.
        weights: how many weights there are.
    """

    factors: ctypes.Array[Factors]
    spans: tuple[ctypes.Array[Span], ...]
    kept: tuple[Tensor, ...]
    width: int
    weights: int


@dataclass(frozen=True)
class _Block:
    """One of the maps of a product, if it is adapted: its outputs, and those of the numbers that A makes it is given.

    Attributes:
        place: which of the maps it is.
    """

    place: int
    outputs: range
    columns: range


@dataclass(frozen=True)
class _Layout:
    """How the factors of a product lie. Products of all layers are alike, so that there are few.

    Attributes:
        runs: panels side by side that take the same numbers.
    """

    blocks: tuple[_Block, ...]
    runs: tuple[tuple[range, range], ...]
    spans: ctypes.Array[Span]

    @property
    def width(self) -> int:
        """Numbers that A makes of a token."""
        return self.blocks[-1].columns.stop

    @property
    def weights_of_b(self) -> int:
        """All of its panels."""
        return sum(len(panels) * LANES * len(columns) for panels, columns in self.runs)


def pack(program: Program, adapter: Adapter) -> PackedAdapter:
    """Lay the factors of an adapter out for a program, in the dtype of its model.

    Raises:
        ValueError: nothing can be added to one of the adapted products, because GELU is applied to it at once.
    """
    factors, arena = (Factors * len(program.adapted))(), Arena()
    spans: list[ctypes.Array[Span]] = []
    kept: list[Tensor] = []
    width = weights = 0
    for step, of_product in zip(program.adapted, factors, strict=True):
        layout = _layout_of(step, adapter)
        if not layout.blocks:
            continue
        if step.operation.finish == library.GELU:
            raise ValueError(f"{', '.join(step.maps)}: nothing can be added to what GELU is applied to at once")
        names = list(step.maps)
        a = packing.pack(_first_factors(layout, names, adapter).to(program.cache_dtype), None, "none")
        a = replace(a, weights=arena.take(a.weights))
        b = arena.take(_second_factors(layout, names, adapter, step.factor, program.cache_dtype))
        of_product.a, of_product.b, of_product.spans = described(a), b.data_ptr(), ctypes.addressof(layout.spans)
        spans.append(layout.spans)
        kept += [a.weights, b]
        width, weights = max(width, layout.width), weights + a.weights.numel() + b.numel()
    return PackedAdapter(factors, tuple(spans), tuple(kept), width, weights)


def packed_bytes(program: Program, adapter: Adapter) -> int:
    """Bytes that `pack` would keep; only the shapes of factors are read."""
    numbers = 0
    for step in program.adapted:
        layout = _layout_of(step, adapter)
        if layout.blocks:
            inputs = adapter.factors[list(step.maps)[layout.blocks[0].place] + A].shape[1]
            numbers += packing.padded(layout.width, inputs) + layout.weights_of_b
    return numbers * program.cache_dtype.itemsize


def _layout_of(step: KernelStep, adapter: Adapter) -> _Layout:
    ranks = (len(adapter.factors[name + A]) if name + A in adapter.factors else 0 for name in step.maps)
    return _layout(tuple(zip(step.maps.values(), ranks, strict=True)))


@functools.lru_cache(maxsize=256)
def _layout(maps: tuple[tuple[int, int], ...]) -> _Layout:
    """Of maps that lie one below the other, each with its outputs and its rank, which is 0 where it is not adapted."""
    blocks: list[_Block] = []
    row = column = 0
    for place, (outputs, rank) in enumerate(maps):
        if rank:
            blocks.append(_Block(place, range(row, row + outputs), range(column, column + rank + rank % 2)))
        row, column = row + outputs, column + rank + rank % 2
    taken = [_columns(panel, blocks) for panel in range(-(-row // LANES))]
    spans, at = (Span * len(taken))(), 0
    for span, columns in zip(spans, taken, strict=True):
        span.at, span.first, span.count = at, columns.start, len(columns)
        at += len(columns) * LANES
    runs: list[tuple[range, range]] = []
    for columns, group in itertools.groupby(range(len(taken)), key=taken.__getitem__):
        panels = list(group)
        if columns:
            runs.append((range(panels[0], panels[-1] + 1), columns))
    return _Layout(tuple(blocks), tuple(runs), spans)


def _columns(panel: int, blocks: Sequence[_Block]) -> range:
    """The numbers that a panel takes: those of its map, or of all that have an output in it."""
    first, last = panel * LANES, (panel + 1) * LANES
    there = [block.columns for block in blocks if block.outputs.start < last and block.outputs.stop > first]
    return range(there[0].start, there[-1].stop) if there else range(0)


def _first_factors(layout: _Layout, names: Sequence[str], adapter: Adapter) -> Tensor:
    """Those of all maps, one below the other, in float32."""
    inputs = adapter.factors[names[layout.blocks[0].place] + A].shape[1]
    a_RK = torch.zeros(layout.width, inputs)
    for block in layout.blocks:
        factor_RK = adapter.factors[names[block.place] + A]
        a_RK[block.columns.start : block.columns.start + len(factor_RK)] = factor_RK
    return a_RK


def _second_factors(
    layout: _Layout, names: Sequence[str], adapter: Adapter, factor: float, dtype: torch.dtype
) -> Tensor:
    """The weights of all panels, one after the other."""
    packed, at = torch.empty(layout.weights_of_b, dtype=dtype), 0
    for panels, columns in layout.runs:
        b_NR = torch.zeros(len(panels) * LANES, len(columns))
        first, last = panels.start * LANES, panels.stop * LANES
        for block in layout.blocks:
            rows = range(max(first, block.outputs.start), min(last, block.outputs.stop))
            if rows:
                name = names[block.place]
                own = slice(rows.start - block.outputs.start, rows.stop - block.outputs.start)
                factor_NR = adapter.factors[name + B][own]
                column = block.columns.start - columns.start
                part = b_NR[rows.start - first : rows.stop - first, column : column + factor_NR.shape[1]]
                torch.mul(factor_NR, adapter.scale(name) * factor, out=part)
        laid_out = packing.panels(b_NR, 2 if dtype == torch.bfloat16 else 1)
        packed[at : at + b_NR.numel()].view(laid_out.shape).copy_(laid_out)
        at += b_NR.numel()
    return packed

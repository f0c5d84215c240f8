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
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import groupby

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
    """A map of a product that is adapted: which outputs are its own, and which of the numbers that A makes."""

    name: str
    outputs: range
    columns: range
    rank: int


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
        blocks = list(_blocks(step.maps, adapter))
        if not blocks:
            continue
        if step.operation.finish == library.GELU:
            raise ValueError(f"{', '.join(step.maps)}: nothing can be added to what GELU is applied to at once")
        a_RK = _stacked(blocks, adapter)
        a = packing.pack(a_RK.to(program.cache_dtype), None, "none")
        a = replace(a, weights=arena.take(a.weights))
        of_panels, b = _diagonal(step, blocks, adapter, program.cache_dtype)
        b = arena.take(b)
        of_product.a, of_product.b, of_product.spans = described(a), b.data_ptr(), ctypes.addressof(of_panels)
        spans.append(of_panels)
        kept += [a.weights, b]
        width, weights = max(width, len(a_RK)), weights + a_RK.numel() + b.numel()
    return PackedAdapter(factors, tuple(spans), tuple(kept), width, weights)


def _blocks(maps: Mapping[str, int], adapter: Adapter) -> Iterator[_Block]:
    """Of maps that lie one below the other, those that are adapted."""
    row = column = 0
    for name, outputs in maps.items():
        if name + A in adapter.factors:
            rank = len(adapter.factors[name + A])
            even = rank + rank % 2
            yield _Block(name, range(row, row + outputs), range(column, column + even), rank)
            column += even
        row += outputs


def _stacked(blocks: list[_Block], adapter: Adapter) -> Tensor:
    """The first factors, one below the other, in float32.

    Copied in place: to make new ones on the device ``meta``, as by ``torch.cat``, torch imports its compiler.
    """
    first = adapter.factors[blocks[0].name + A]
    a_RK = first.new_zeros((blocks[-1].columns.stop, first.shape[1]), dtype=torch.float32)
    for block in blocks:
        a_RK[block.columns.start : block.columns.start + block.rank] = adapter.factors[block.name + A]
    return a_RK


def _diagonal(
    step: KernelStep, blocks: list[_Block], adapter: Adapter, dtype: torch.dtype
) -> tuple[ctypes.Array[Span], Tensor]:
    """Of each panel, which numbers it takes; and the weights of all panels, one after the other."""
    panels = -(-sum(step.maps.values()) // LANES)
    columns = [_columns(panel, blocks) for panel in range(panels)]
    spans, at = (Span * panels)(), 0
    for span, taken in zip(spans, columns, strict=True):
        span.at, span.first, span.count = at, taken.start, len(taken)
        at += len(taken) * LANES
    packed = adapter.factors[blocks[0].name + B].new_empty(at, dtype=dtype)
    for taken, group in groupby(range(panels), key=columns.__getitem__):
        if taken:
            run = list(group)
            rows = range(run[0] * LANES, (run[-1] + 1) * LANES)
            b_NR = packed.new_zeros((len(rows), len(taken)), dtype=torch.float32)
            for block in blocks:
                _write(b_NR, rows, taken, block, adapter, step.factor)
            first = spans[run[0]].at
            laid_out = packing.panels(b_NR, 2 if dtype == torch.bfloat16 else 1)
            packed[first : first + b_NR.numel()].view(laid_out.shape).copy_(laid_out)
    return spans, packed


def _columns(panel: int, blocks: list[_Block]) -> range:
    """The numbers that a panel takes: those of its map, or of all that have an output in it."""
    first, last = panel * LANES, (panel + 1) * LANES
    there = [block.columns for block in blocks if block.outputs.start < last and block.outputs.stop > first]
    return range(there[0].start, there[-1].stop) if there else range(0)


def _write(b_NR: Tensor, rows: range, taken: range, block: _Block, adapter: Adapter, factor: float) -> None:
    """Put what a map has of its second factor into some rows and columns of a product's."""
    first, last = max(rows.start, block.outputs.start), min(rows.stop, block.outputs.stop)
    if first < last:
        own = slice(first - block.outputs.start, last - block.outputs.start)
        column = block.columns.start - taken.start
        part = b_NR[first - rows.start : last - rows.start, column : column + block.rank]
        part.copy_(adapter.factors[block.name + B][own]).mul_(adapter.scale(block.name) * factor)

"""An adapter beside the products of a program: what B A adds is computed from the same inputs, and added.

    LINEAR  W: source to target          as the program has it
    LINEAR  A: source to inner           [R, K]
    LINEAR  B: inner to target, ADD      [N, R], times the scale

Of a product of several maps, whose matrices lie one below the other, the As do too, and the Bs lie along a diagonal.
Weights and tables of positions are shared with the program; buffers are not.

Shapes: K inputs, N outputs, R the rank.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from engine.adapters.adapter import A, Adapter, B
from engine.inference.native.program import Buffer, KernelStep, Program
from engine.native import library


def with_adapter(program: Program, adapter: Adapter) -> Program:
    """The same computation with an adapter beside it, whose factors are in the dtype of the model.

    Raises:
        ValueError: nothing can be added to one of the adapted products, because GELU is applied to it at once.
    """
    beside = Program("none", program.cache_dtype, program.kv_heads, program.head)
    beside.kept, beside.rotations = list(program.kept), program.rotations
    beside.widest, beside.weights = program.widest, program.weights
    buffers: dict[int, Buffer] = {}

    def own(buffer: Buffer) -> Buffer:
        return buffers.setdefault(id(buffer), Buffer(buffer.width))

    for step in program.steps:
        source, target = None if step.source is None else own(step.source), own(step.target)
        beside.steps.append(KernelStep(step.operation, source, target, step.maps, step.factor))
        if source is None or not any(name + A in adapter.factors for name in step.maps):
            continue
        if step.operation.finish == library.GELU:
            raise ValueError(f"{', '.join(step.maps)}: nothing can be added to what GELU is applied to at once")
        a_RK, b_NR = _stacked(step.maps, adapter)
        b_NR.mul_(step.factor)
        inner = Buffer(len(a_RK))
        beside.product(source, inner, a_RK.to(program.cache_dtype), None)
        beside.product(inner, target, b_NR.to(program.cache_dtype), None, library.ADD)
    return beside


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

"""A model as a list of operations for the kernel, its weights packed once for each version.

Shapes: M tokens.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from engine.config.inference import Quantization
from engine.inference.native import packing
from engine.inference.native.arena import Arena
from engine.inference.native.packing import Packed
from engine.inference.native.rotations import Rotations
from engine.models.pages import PAGE
from engine.native import library
from engine.native.structures import Operation, Weight

CACHES = {torch.float32: library.FORMATS["fp32"], torch.bfloat16: library.FORMATS["bf16"]}
"""What keys and values may be stored in."""


@dataclass
class Buffer:
    """What operations hand on, [M, width] in float32; each thread that computes has memory of its own for it."""

    width: int


@dataclass
class KernelStep:
    """An operation, and the buffers that its pointers are to be set to.

    Attributes:
        maps: the model's linear maps whose matrices a product has, one below the other: name to outputs.
        factor: what these are multiplied by in the product.
    """

    operation: Operation
    source: Buffer | None
    target: Buffer
    maps: Mapping[str, int] = field(default_factory=dict)
    factor: float = 1.0


class Program:
    """Operations in order, and the tensors that they read. `KernelFamily.write` makes one.

    Attributes:
        cache_dtype: of keys and values.
        steps: the operations.
        adapted: products to which an adapter can add something, in the order in which the kernel finds its factors.
        kept: tensors whose addresses operations hold; they live as long as this.
        widest: inputs of the widest product.
        weights: how many weights products have.
        layers: how many operations attend, each to a layer of the cache.
        kv_heads: heads of keys and values in each layer.
        head: the width of a head.
        rotations: of positions, where the model has them.
    """

    def __init__(self, quantization: Quantization, cache_dtype: torch.dtype, kv_heads: int, head: int) -> None:
        self.steps: list[KernelStep] = []
        self.adapted: list[KernelStep] = []
        self.kept: list[Tensor] = []
        self.widest = 0
        self.weights = 0
        self.layers = 0
        self.kv_heads = kv_heads
        self.head = head
        self.rotations: Rotations | None = None
        self._quantization: Quantization = quantization
        self.cache_dtype = cache_dtype
        self._arena = Arena()

    def embed(self, table: Packed, target: Buffer, places: Tensor | None) -> None:
        """Begin with the embedding of each token, and with ``places`` that of its position."""
        operation = Operation(kind=library.EMBED, weight=described(table))
        if places is not None:
            operation.shift = self.keep(places).data_ptr()
        self._add(operation, None, target)

    def norm(self, source: Buffer, target: Buffer, scale: Tensor, shift: Tensor | None, epsilon: float) -> None:
        """RMSNorm, or LayerNorm where there is a ``shift``."""
        operation = Operation(kind=library.NORM, epsilon=epsilon, scale=self.keep(scale).data_ptr())
        if shift is not None:
            operation.shift = self.keep(shift).data_ptr()
        self._add(operation, source, target)

    def product(
        self,
        source: Buffer,
        target: Buffer,
        weight: Tensor,
        bias: Tensor | None,
        finish: int = library.SET,
        maps: Mapping[str, int] | None = None,
        factor: float = 1.0,
    ) -> None:
        """A product by ``factor`` times a matrix [outputs, inputs] of ``maps``; ``finish`` says what becomes of it."""
        if factor != 1.0:
            weight = (weight.detach().float() * factor).to(weight.dtype)
        step = replace(self.linear(self.pack(weight, bias), source, target, finish), maps=maps or {}, factor=factor)
        self.steps.append(step)
        if step.maps:
            self.adapted.append(step)
            step.operation.adapted = len(self.adapted)

    def linear(self, packed: Packed, source: Buffer, target: Buffer, finish: int) -> KernelStep:
        """The same by a packed matrix, as a step that is not added."""
        self.widest = max(self.widest, packed.inputs)
        operation = Operation(kind=library.LINEAR, weight=described(packed), finish=finish)
        operation.source_width, operation.target_width = source.width, target.width
        return KernelStep(operation, source, target)

    def attend(
        self,
        source: Buffer,
        target: Buffer,
        heads: int,
        kv_heads: int,
        window: int = 0,
        turn: tuple[Tensor, Tensor] | None = None,
        norms: tuple[Tensor, Tensor] | None = None,
        epsilon: float = 0.0,
    ) -> None:
        """Attention of queries, keys and values that lie side by side in ``source``.

        Args:
            source: queries of all heads, then keys, then values.
            target: what the heads attend to, side by side.
            heads: of queries.
            kv_heads: of keys and values.
            window: positions that are looked back at; 0: all.
            turn: cosines and sines to rotate queries and keys by.
            norms: scales of RMSNorm over each query and each key.
            epsilon: of those norms.
        """
        operation = Operation(
            kind=library.ATTEND,
            heads=heads,
            kv_heads=kv_heads,
            head=self.head,
            window=window,
            epsilon=epsilon,
            cache_format=CACHES[self.cache_dtype],
        )
        one = kv_heads * PAGE * self.head  # numbers of keys of one layer in a page; values are as many
        operation.keys_at, operation.values_at = 2 * one * self.layers, 2 * one * self.layers + one
        self.layers += 1
        if turn is not None:
            operation.cosines, operation.sines = (part.data_ptr() for part in turn)
        if norms is not None:
            operation.query_norm, operation.key_norm = (part.data_ptr() for part in norms)
        self._add(operation, source, target)

    def _add(self, operation: Operation, source: Buffer | None, target: Buffer) -> None:
        operation.source_width = 0 if source is None else source.width
        operation.target_width = target.width
        self.steps.append(KernelStep(operation, source, target))

    def gate(self, source: Buffer, target: Buffer) -> None:
        """SwiGLU of the two halves of ``source``."""
        self._add(Operation(kind=library.GATE), source, target)

    def end(self) -> None:
        """All operations are there: say how large a page is, which has all layers."""
        for step in self.steps:
            step.operation.page_stride = 2 * self.kv_heads * PAGE * self.head * self.layers

    def pack(self, weight: Tensor, bias: Tensor | None) -> Packed:
        """The matrix as the kernel reads it."""
        packed = packing.pack(weight.detach(), None if bias is None else bias.detach(), self._quantization)
        packed = replace(packed, weights=self._arena.take(packed.weights))
        self.kept += packed.tensors
        self.weights += packed.outputs * packed.inputs
        return packed

    def keep(self, tensor: Tensor) -> Tensor:
        """A float32 copy, or the tensor itself, that lives as long as this."""
        kept = torch.empty_like(tensor, dtype=torch.float32, memory_format=torch.contiguous_format)
        self.kept.append(kept.copy_(tensor.detach()))  # a view of the file would keep all of it mapped
        return self.kept[-1]


def described(packed: Packed) -> Weight:
    """As the kernel sees it. The tensors must be kept by somebody."""
    return Weight(
        format=library.FORMATS[packed.format],
        outputs=packed.outputs,
        inputs=packed.inputs,
        packed=packed.weights.data_ptr(),
        scales=None if packed.scales is None else packed.scales.data_ptr(),
        bias=None if packed.bias is None else packed.bias.data_ptr(),
    )

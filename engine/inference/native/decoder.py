"""A version computed by the kernel.

Shapes: B rows, T positions, M = B * T tokens, D hidden, N choices to make, V vocabulary.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from engine.adapters.adapter import Adapter
from engine.config.inference import Quantization
from engine.config.model import ModelSettings
from engine.families.table import FAMILIES
from engine.inference.native import adapting, kernel_family
from engine.inference.native.packing import Packed
from engine.inference.native.program import Buffer, Program
from engine.models.attention import KeyValueCache
from engine.models.base import Cache, LanguageModel, check_context
from engine.native import library
from engine.native.library import Kernel

_BYTES_A_SECOND, _OPERATIONS_A_SECOND = 25e9, 200e9
"""What one core does, roughly."""
_SECONDS_FOR_A_THREAD = 2e-3
"""Work that a thread is woken for. With less it is slower: threads wait for each other at every product, and the core
is missed by who sends the answers."""


def make(model: LanguageModel, device: torch.device, quantization: Quantization) -> "NativeDecoder | None":
    """A decoder with the weights of ``model``; None where there is no kernel, or it does not know the family.

    Raises:
        NotComputedError: the kernel lacks something that this model has.
    """
    kernel, family = library.kernel(), kernel_family.of(model.family)
    if kernel is None or family is None or device.type != "cpu":
        return None
    like, written = next(model.parameters()).new_empty(0), family.write(model, quantization)
    return NativeDecoder(model.vocabulary, model.context, like, *written, kernel)


def serves(settings: ModelSettings) -> bool:
    """Whether `make` would give a decoder for such a model on a CPU, in bf16 or float32."""
    return library.kernel() is not None and kernel_family.computes(FAMILIES[settings.family], settings.shape)


class NativeDecoder:
    """What a server needs of a model, computed by the kernel. Implements `engine.models.base.Decoder`.

    Used by one thread at a time. The model it is made of is not needed afterwards.
    """

    def __init__(
        self, vocabulary: int, context: int, cache_like: Tensor, program: Program, head: Packed, kernel: Kernel
    ) -> None:
        """``cache_like`` has the device and the dtype of keys and values."""
        self.vocabulary = vocabulary
        self.context = context
        self._kernel = kernel
        self._head = head
        self._tokens = 0
        self._cache_address = 0
        self._scratch = torch.empty(0, dtype=torch.uint8)
        self._cache_like = cache_like
        self._program = program
        self._width = self._program.steps[-1].target.width
        self._body = library.array([step.operation for step in self._program.steps])
        self._attends = [operation for operation in self._body if operation.kind == library.ATTEND]
        scores = self._program.linear(head, Buffer(self._width), Buffer(self.vocabulary), library.SET)
        self._head_operation = library.array([scores.operation])
        self._bytes = sum(tensor.nbytes for tensor in self._program.kept)

    def with_adapter(self, adapter: Adapter) -> "NativeDecoder":
        """A decoder that computes an adapter beside these weights and shares them. The two may be used by two threads.

        Raises:
            ValueError: the kernel cannot; see `engine.inference.native.kernel_family.KernelFamily`.
        """
        program = adapting.with_adapter(self._program, adapter)
        return NativeDecoder(self.vocabulary, self.context, self._cache_like, program, self._head, self._kernel)

    def step(self, tokens_BT: Tensor, cache: Cache, rows_B: Tensor, starts_B: Tensor) -> Tensor:
        """As the Protocol; in float32. A row's numbers depend neither on B nor on T.

        Raises:
            TypeError: the cache is another family's.
            ValueError: a row would grow beyond the length of the cache.
        """
        rows, length = tokens_BT.shape
        positions_M = (starts_B[:, None] + torch.arange(length)).flatten()
        rows_M = rows_B[:, None].expand(-1, length).flatten()
        return self.read(tokens_BT.flatten(), cache, rows_M, positions_M).view(rows, length, -1)

    def read(self, tokens_M: Tensor, cache: Cache, rows_M: Tensor, positions_M: Tensor) -> Tensor:
        """Hidden states [M, D] of tokens of any cache rows, those of one row in order. Raises as `step`."""
        if not isinstance(cache, KeyValueCache):
            raise TypeError(f"the kernel needs keys and values, not a {type(cache).__name__}")
        positions = positions_M.tolist()
        for row, position in zip(rows_M.tolist(), positions, strict=True):
            cache.make_room(row, position, position + 1)
        if self._program.rotations is not None:
            self._program.rotations.reach(max(positions) + 1)
        hidden_MD = torch.empty(len(tokens_M), self._width)
        self._make_room(len(tokens_M), cache.length)
        self._body[-1].target = hidden_MD.data_ptr()
        self._attend_to(cache)
        self._run(self._body, tokens_M, rows_M, positions_M, cache.table.table_RP, cache.length)
        return hidden_MD

    def logits(self, hidden_ND: Tensor) -> Tensor:
        """Scores [N, V] over the vocabulary, in float32."""
        hidden_ND = hidden_ND.float().contiguous()
        logits_NV = torch.empty(len(hidden_ND), self.vocabulary)
        self._make_room(len(hidden_ND), 0)
        self._head_operation[0].source = hidden_ND.data_ptr()
        self._head_operation[0].target = logits_NV.data_ptr()
        unused_N = torch.zeros(len(hidden_ND), dtype=torch.long)
        self._run(self._head_operation, unused_N, unused_N, unused_N, unused_N[:, None], 0)
        return logits_NV

    def make_cache(self, rows: int, length: int) -> KeyValueCache:
        """As the Protocol.

        Raises:
            ValueError: ``length`` is beyond the context the model was made for.
        """
        check_context(length, self.context)
        return KeyValueCache.like(
            self._cache_like, len(self._attends), rows, self._program.kv_heads, length, self._program.head
        )

    def parameters(self, recurse: bool = True) -> Iterator[Tensor]:
        """As the Protocol: packed weights, scales, and tables, those of positions as far as they are known."""
        del recurse  # there is nothing below
        yield from self._program.kept
        yield from () if self._program.rotations is None else self._program.rotations.known

    def _threads(self, tokens: int) -> int:
        """As many as have enough to do; no number depends on it."""
        seconds = self._bytes / _BYTES_A_SECOND + 2 * self._program.weights * tokens / _OPERATIONS_A_SECOND
        return min(torch.get_num_threads(), math.ceil(seconds / _SECONDS_FOR_A_THREAD))

    def _make_room(self, tokens: int, longest: int) -> None:
        """Buffers for so many tokens; they only grow."""
        needed = self._kernel.scratch_bytes(tokens, self._program.widest, longest, self._threads(tokens))
        if needed > self._scratch.numel():
            self._scratch = torch.empty(needed, dtype=torch.uint8)
        if tokens <= self._tokens:
            return
        self._tokens = tokens
        for operation, step in zip(self._body, self._program.steps, strict=True):
            for buffer in (step.source, step.target):
                if buffer is not None and buffer.memory.numel() < tokens * buffer.width:
                    buffer.memory = torch.empty(tokens, buffer.width)
            operation.source = None if step.source is None else step.source.memory.data_ptr()
            operation.target = step.target.memory.data_ptr()

    def _attend_to(self, cache: KeyValueCache) -> None:
        """Tell the kernel where keys and values lie."""
        memory = cache.pool.memory
        if self._cache_address == memory.data_ptr():
            return
        self._cache_address = memory.data_ptr()
        _, layer, keys, *_ = (stride * memory.element_size() for stride in memory.stride())
        for number, operation in enumerate(self._attends):
            operation.keys = self._cache_address + number * layer
            operation.values = self._cache_address + number * layer + keys
            operation.page_stride = memory.stride(0)

    def _run(
        self,
        operations: library.Operations,
        tokens_M: Tensor,
        rows_M: Tensor,
        positions_M: Tensor,
        table_RP: Tensor,
        longest: int,
    ) -> None:
        self._kernel.run(
            operations,
            tokens_M.contiguous(),  # of flattened tensors some are views that step or stand still
            rows_M.contiguous(),
            positions_M.contiguous(),
            table_RP,
            self._scratch,
            widest=self._program.widest,
            longest=longest,
            threads=self._threads(len(tokens_M)),
        )

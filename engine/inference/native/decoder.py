"""Versions computed by the kernel; those that share their base in one pass.

Shapes: B rows, T positions, M = B * T tokens, D hidden, N choices to make, V vocabulary.
"""

import ctypes
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.adapters.adapter import Adapter
from engine.config.inference import Quantization
from engine.config.model import ModelSettings
from engine.families.table import FAMILIES
from engine.inference.native import adapting, kernel_family
from engine.inference.native.adapting import PackedAdapter
from engine.inference.native.program import Program
from engine.inference.native.workspace import Workspace
from engine.models.attention import KeyValueCache
from engine.models.base import Cache, LanguageModel, check_context
from engine.native import library
from engine.native.structures import Group, Operations

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
    written[0].end()
    workspace = Workspace(*written, model.vocabulary, kernel)
    return NativeDecoder(model.vocabulary, model.context, like, written[0], workspace)


def serves(settings: ModelSettings) -> bool:
    """Whether `make` would give a decoder for such a model on a CPU, in bf16 or float32."""
    return library.kernel() is not None and kernel_family.computes(FAMILIES[settings.family], settings.shape)


@dataclass(frozen=True)
class Part:
    """Tokens of one version, in a call that computes several: those of a cache row in order."""

    decoder: "NativeDecoder"
    cache: KeyValueCache
    tokens_M: Tensor
    rows_M: Tensor
    positions_M: Tensor


class NativeDecoder:
    """What a server needs of a model, computed by the kernel. Implements `engine.models.base.Decoder`.

    The model it is made of is not needed afterwards.

    Attributes:
        program: operations and weights; decoders made by `with_adapter` share them, and `read` computes those together.
    """

    def __init__(
        self,
        vocabulary: int,
        context: int,
        cache_like: Tensor,
        program: Program,
        workspace: Workspace,
        adapter: PackedAdapter | None = None,
    ) -> None:
        """``cache_like`` has the device and the dtype of keys and values."""
        self.vocabulary = vocabulary
        self.context = context
        self.program = program
        self._cache_like = cache_like
        self._workspace = workspace
        self._adapter = adapter
        kept = [*program.kept, *(() if adapter is None else adapter.kept)]
        self._bytes = sum(tensor.nbytes for tensor in kept)
        self._weights = program.weights + (0 if adapter is None else adapter.weights)

    def with_adapter(self, adapter: Adapter) -> "NativeDecoder":
        """A decoder that computes an adapter beside these weights and shares them. The two may be used by two threads.

        Raises:
            ValueError: the kernel cannot; see `engine.inference.native.kernel_family.KernelFamily`.
        """
        packed = adapting.pack(self.program, adapter)
        return NativeDecoder(self.vocabulary, self.context, self._cache_like, self.program, self._workspace, packed)

    def bytes_of(self, adapter: Adapter) -> int:
        """Bytes that `with_adapter` takes; of the factors only the shapes are read."""
        return adapting.packed_bytes(self.program, adapter)

    def step(self, tokens_BT: Tensor, cache: Cache, rows_B: Tensor, starts_B: Tensor) -> Tensor:
        """As the Protocol; in float32. A row's numbers depend neither on B nor on T.

        Raises:
            TypeError: the cache is another family's.
            ValueError: a row would grow beyond the length of the cache.
        """
        if not isinstance(cache, KeyValueCache):
            raise TypeError(f"the kernel needs keys and values, not a {type(cache).__name__}")
        rows, length = tokens_BT.shape
        positions_M = (starts_B[:, None] + torch.arange(length)).flatten()
        rows_M = rows_B[:, None].expand(-1, length).flatten()
        return self.read([Part(self, cache, tokens_BT.flatten(), rows_M, positions_M)]).view(rows, length, -1)

    def read(self, parts: Sequence[Part]) -> Tensor:
        """Hidden states [M, D] of the tokens of all parts, whose versions share a program. Raises as `step`.

        A row's numbers do not depend on the others, nor on the versions that these belong to.
        """
        end, first_row, last = 0, 0, 0
        groups: list[Group] = []
        rows: list[Tensor] = []
        for part in parts:
            positions = part.positions_M.tolist()
            for row, position in zip(part.rows_M.tolist(), positions, strict=True):
                part.cache.make_room(row, position, position + 1)
            last, end = max(last, *positions), end + len(positions)
            rows.append(part.rows_M + first_row)
            first_row += len(part.cache.table.table_RP)
            adapter = part.decoder._adapter
            factors = None if adapter is None else ctypes.addressof(adapter.factors)
            groups.append(Group(end, factors, part.cache.pool.memory.data_ptr()))
        if self.program.rotations is not None:
            self.program.rotations.reach(last + 1)
        hidden_MD = torch.empty(end, self.program.steps[-1].target.width)
        self._run(
            self._workspace.body_for(end, hidden_MD),
            torch.cat([part.tokens_M for part in parts]),
            torch.cat(rows),
            torch.cat([part.positions_M for part in parts]),
            torch.cat([part.cache.table.table_RP for part in parts]),
            groups,
            longest=max(part.cache.length for part in parts),
            decoders=[part.decoder for part in parts],
        )
        return hidden_MD

    def logits(self, hidden_ND: Tensor) -> Tensor:
        """Scores [N, V] over the vocabulary, in float32."""
        hidden_ND = hidden_ND.float().contiguous()
        logits_NV = torch.empty(len(hidden_ND), self.vocabulary)
        unused_N = torch.zeros(len(hidden_ND), dtype=torch.long)
        scores = self._workspace.head_for(hidden_ND, logits_NV)
        self._run(scores, unused_N, unused_N, unused_N, unused_N[:, None], [], longest=0, decoders=[self])
        return logits_NV

    def make_cache(self, rows: int, length: int) -> KeyValueCache:
        """As the Protocol.

        Raises:
            ValueError: ``length`` is beyond the context the model was made for.
        """
        check_context(length, self.context)
        program = self.program
        return KeyValueCache.like(self._cache_like, program.layers, rows, program.kv_heads, length, program.head)

    def parameters(self, recurse: bool = True) -> Iterator[Tensor]:
        """As the Protocol: packed weights and scales. Tables of positions are none, as in torch."""
        del recurse  # there is nothing below
        yield from self.program.kept
        yield from () if self._adapter is None else self._adapter.kept

    def release_workspace(self) -> None:
        """Give back what computing took in this thread besides weights and caches; the next step takes it again."""
        self._workspace.release()

    def _threads(self, tokens: int) -> int:
        """As many as have enough to do; no number depends on it."""
        seconds = self._bytes / _BYTES_A_SECOND + 2 * self._weights * tokens / _OPERATIONS_A_SECOND
        return min(torch.get_num_threads(), math.ceil(seconds / _SECONDS_FOR_A_THREAD))

    def _run(
        self,
        operations: Operations,
        tokens_M: Tensor,
        rows_M: Tensor,
        positions_M: Tensor,
        table_RP: Tensor,
        groups: Sequence[Group],
        *,
        longest: int,
        decoders: Sequence["NativeDecoder"],
    ) -> None:
        tokens, threads = len(tokens_M), max(decoder._threads(len(tokens_M)) for decoder in decoders)
        width = max((0 if each._adapter is None else each._adapter.width) for each in decoders)
        widest = max(self.program.widest, width)
        self._workspace.kernel.run(
            operations,
            tokens_M.contiguous(),  # of flattened tensors some are views that step or stand still
            rows_M.contiguous(),
            positions_M.contiguous(),
            table_RP,
            groups,
            self._workspace.inner(tokens, width),
            self._workspace.scratch(tokens, widest, longest, threads),
            widest=widest,
            longest=longest,
            threads=threads,
        )

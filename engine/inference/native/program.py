"""The families gpt2 and thor as lists of operations for the kernel, their weights packed once for each version.

Shapes: B rows, T positions, M = B * T tokens, D hidden, N choices to make, V vocabulary.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from engine.config.inference import Quantization
from engine.config.model import ModelSettings
from engine.config.shapes import Gpt2Shape, ThorShape
from engine.inference.native import packing
from engine.inference.native.arena import Arena
from engine.inference.native.packing import LANES, Packed, pack
from engine.models.attention import KeyValueCache
from engine.models.base import Cache, LanguageModel, check_context
from engine.models.gpt2 import WIDENING, Gpt2
from engine.models.pages import Pool
from engine.models.rotary import rotation
from engine.models.thor import Thor
from engine.native import library
from engine.native.library import Kernel, Operation, Weight

_BYTES_A_SECOND, _OPERATIONS_A_SECOND = 25e9, 200e9
"""What one core does, roughly."""
_SECONDS_FOR_A_THREAD = 2e-3
"""Work that a thread is woken for. With less it is slower: threads wait for each other at every product, and the core
is missed by who sends the answers."""
_CACHES = {torch.float32: library.FORMATS["fp32"], torch.bfloat16: library.FORMATS["bf16"]}


def make(model: LanguageModel, device: torch.device, quantization: Quantization) -> "NativeDecoder | None":
    """A decoder with the weights of ``model``; null where there is no kernel, or it does not know such a model."""
    kernel = library.kernel()
    if kernel is None or device.type != "cpu":
        return None
    if isinstance(model, Gpt2):
        head, weight = model.shape.hidden // model.shape.heads, model.transformer.wte.weight
    elif isinstance(model, Thor):
        head, weight = model.shape.width, model.model.embed_tokens.weight
    else:
        return None
    fits = head % LANES == 0 and weight.dtype in _CACHES
    return NativeDecoder(model, quantization, kernel) if fits else None


def serves(settings: ModelSettings) -> bool:
    """Whether `make` would give a decoder for such a model on a CPU, in bf16 or float32."""
    match settings.shape:
        case Gpt2Shape() as shape:
            return library.kernel() is not None and (shape.hidden // shape.heads) % LANES == 0
        case ThorShape() as shape:
            return library.kernel() is not None and shape.width % LANES == 0
        case _:
            return False


def round_weights(model: Gpt2 | Thor, quantization: Quantization) -> None:
    """Replace the matrices of a module by what their quantized form stands for: it then computes as a decoder would."""
    for name, weight in model.named_parameters():
        if weight.ndim == 2 and name != "transformer.wpe.weight":
            lies_across = name.startswith("transformer.h.")  # [inputs, outputs]
            rounded_NK = packing.rounded(weight.detach().t() if lies_across else weight.detach(), quantization)
            weight.data = (rounded_NK.t() if lies_across else rounded_NK).to(weight.dtype)


@dataclass
class _Buffer:
    """What operations hand on, [M, width] in float32; placed when it is known how many tokens there are."""

    width: int
    memory: Tensor = field(default_factory=lambda: torch.empty(0))


@dataclass
class _Step:
    """An operation, and the buffers that its pointers are to be set to."""

    operation: Operation
    source: _Buffer | None
    target: _Buffer


class _Turns:
    """Cosines and sines of positions, [context, head / 2] each, computed as far as rows have come."""

    _TOGETHER = 512

    def __init__(self, model: Thor) -> None:
        self._frequencies, self._magnitude = model.frequencies, model.magnitude
        self._context, self._half = model.shape.context, model.shape.width // 2
        cpu, sizes = torch.device("cpu"), {"first": self._context, "most": self._context}
        self.cosines, self.sines = (Pool((self._half,), torch.float32, cpu, **sizes) for _ in range(2))
        self._known = 0

    @property
    def known(self) -> list[Tensor]:
        """What has been computed."""
        return [pool.memory[: self._known] for pool in (self.cosines, self.sines)]

    def reach(self, positions: int) -> None:
        """Know so many positions. They are computed in the same pieces whoever asks, so a number is always the same."""
        while self._known < positions:
            end = min(self._known + self._TOGETHER, self._context)
            positions_BT = torch.arange(self._known, end, device="cpu")[None]
            parts = rotation(positions_BT, self._frequencies, self._magnitude)  # both halves of a head alike
            for pool, part in zip((self.cosines, self.sines), parts, strict=True):
                pool.memory[self._known : end] = part[0, 0, :, : self._half]
            self._known = end


@dataclass(frozen=True)
class _Named:
    """The weights of one layer by what follows their common beginning."""

    weights: Mapping[str, Tensor]
    prefix: str

    def __getitem__(self, name: str) -> Tensor:
        return self.weights[self.prefix + name]


class NativeDecoder:
    """What a server needs of a model, computed by the kernel. Implements `engine.models.base.Decoder`.

    Used by one thread at a time. The model it is made of is not needed afterwards.
    """

    def __init__(self, model: Gpt2 | Thor, quantization: Quantization, kernel: Kernel) -> None:
        self.vocabulary = model.vocabulary
        self.context = model.context
        self._kernel = kernel
        self._quantization: Quantization = quantization
        self._arena = Arena()
        self._kept: list[Tensor] = []
        self._steps: list[_Step] = []
        self._layers: list[Operation] = []
        self._widest = 0
        self._weights = 0
        self._tokens = 0
        self._cache_address = 0
        self._turns: _Turns | None = None
        self._scratch = torch.empty(0, dtype=torch.uint8)
        if isinstance(model, Gpt2):
            self._cache_like = model.transformer.wte.weight.new_empty(0)
            self._kv_heads, self._head = model.shape.heads, model.shape.hidden // model.shape.heads
            table = self._write_gpt2(model)
        else:
            self._cache_like = model.model.embed_tokens.weight.new_empty(0)
            self._kv_heads, self._head = model.shape.kv_heads, model.shape.width
            table = self._write_thor(model)
        self._width = self._steps[-1].target.width
        self._body = library.array([step.operation for step in self._steps])
        self._attends = [operation for operation in self._body if operation.kind == library.ATTEND]
        self._head_operation = library.array(
            [self._linear(table, _Buffer(self._width), _Buffer(self.vocabulary), library.SET).operation]
        )
        self._bytes = sum(tensor.nbytes for tensor in self._kept)

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
        for row, position in zip(rows_M.tolist(), positions_M.tolist(), strict=True):
            cache.make_room(row, position, position + 1)
        if self._turns is not None:
            self._turns.reach(int(positions_M.max()) + 1)
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
        return KeyValueCache.like(self._cache_like, len(self._attends), rows, self._kv_heads, length, self._head)

    def parameters(self, recurse: bool = True) -> Iterator[Tensor]:
        """As the Protocol: packed weights, scales, and tables, those of positions as far as they are known."""
        del recurse  # there is nothing below
        yield from self._kept
        yield from () if self._turns is None else self._turns.known

    # What is computed ------------------------------------------------------------------------------------------------

    def _write_gpt2(self, model: Gpt2) -> Packed:
        """The operations of the family; the packed embedding, which is the head too."""
        shape, weights = model.shape, dict(model.named_parameters())
        epsilon, inside = shape.norm_epsilon, WIDENING * shape.hidden
        table = self._pack(weights["transformer.wte.weight"], None)
        x, normed, mixed = _Buffer(shape.hidden), _Buffer(shape.hidden), _Buffer(shape.hidden)
        wide, inner = _Buffer(3 * shape.hidden), _Buffer(inside)
        self._embed(table, x, weights["transformer.wpe.weight"])
        for number in range(shape.layers):
            layer = _Named(weights, f"transformer.h.{number}.")
            self._norm(x, normed, layer["ln_1.weight"], layer["ln_1.bias"], epsilon)
            self._product(normed, wide, layer["attn.c_attn.weight"].t(), layer["attn.c_attn.bias"])
            self._attend(wide, mixed, shape.heads, shape.heads)
            self._product(mixed, x, layer["attn.c_proj.weight"].t(), layer["attn.c_proj.bias"], library.ADD)
            self._norm(x, normed, layer["ln_2.weight"], layer["ln_2.bias"], epsilon)
            self._product(normed, inner, layer["mlp.c_fc.weight"].t(), layer["mlp.c_fc.bias"], library.GELU)
            self._product(inner, x, layer["mlp.c_proj.weight"].t(), layer["mlp.c_proj.bias"], library.ADD)
        last = weights["transformer.ln_f.weight"], weights["transformer.ln_f.bias"]
        self._norm(x, _Buffer(shape.hidden), *last, epsilon)
        return table

    def _write_thor(self, model: Thor) -> Packed:
        """The operations of the family; the packed head."""
        shape, weights = model.shape, dict(model.named_parameters())
        epsilon = shape.norm_epsilon
        table = self._pack(weights["model.embed_tokens.weight"], None)
        x, normed, mixed = _Buffer(shape.hidden), _Buffer(shape.hidden), _Buffer(shape.heads * shape.width)
        wide = _Buffer((shape.heads + 2 * shape.kv_heads) * shape.width)
        both, inner = _Buffer(2 * shape.feed_forward), _Buffer(shape.feed_forward)
        self._turns = _Turns(model)
        turn = self._turns.cosines.memory, self._turns.sines.memory
        self._embed(table, x, None)
        for number in range(shape.layers):
            layer = _Named(weights, f"model.layers.{number}.")
            self._norm(x, normed, layer["input_layernorm.weight"], None, epsilon)
            parts = [f"self_attn.{part}_proj" for part in "qkv"]
            weight = torch.cat([layer[f"{part}.weight"] for part in parts])
            bias = torch.cat([layer[f"{part}.bias"] for part in parts]) if shape.qkv_bias else None
            self._product(normed, wide, weight, bias)
            norms = None
            if shape.qk_norm:
                norms = self._keep(layer["self_attn.q_norm.weight"]), self._keep(layer["self_attn.k_norm.weight"])
            self._attend(wide, mixed, shape.heads, shape.kv_heads, shape.window, turn, norms, epsilon)
            self._product(mixed, x, layer["self_attn.o_proj.weight"], None, library.ADD)
            self._norm(x, normed, layer["post_attention_layernorm.weight"], None, epsilon)
            gate_up = torch.cat((layer["mlp.gate_proj.weight"], layer["mlp.up_proj.weight"]))
            self._product(normed, both, gate_up, None)
            self._add(Operation(kind=library.GATE), both, inner)
            self._product(inner, x, layer["mlp.down_proj.weight"], None, library.ADD)
        self._norm(x, _Buffer(shape.hidden), weights["model.norm.weight"], None, epsilon)
        return table if shape.tied else self._pack(weights["lm_head.weight"], None)

    def _embed(self, table: Packed, target: _Buffer, places: Tensor | None) -> None:
        operation = Operation(kind=library.EMBED, weight=_described(table))
        if places is not None:
            operation.shift = self._keep(places).data_ptr()
        self._add(operation, None, target)

    def _norm(self, source: _Buffer, target: _Buffer, scale: Tensor, shift: Tensor | None, epsilon: float) -> None:
        operation = Operation(kind=library.NORM, epsilon=epsilon, scale=self._keep(scale).data_ptr())
        if shift is not None:
            operation.shift = self._keep(shift).data_ptr()
        self._add(operation, source, target)

    def _product(
        self, source: _Buffer, target: _Buffer, weight: Tensor, bias: Tensor | None, finish: int = library.SET
    ) -> None:
        self._steps.append(self._linear(self._pack(weight, bias), source, target, finish))

    def _linear(self, packed: Packed, source: _Buffer, target: _Buffer, finish: int) -> _Step:
        self._widest = max(self._widest, packed.inputs)
        operation = Operation(kind=library.LINEAR, weight=_described(packed), finish=finish)
        operation.source_width, operation.target_width = source.width, target.width
        return _Step(operation, source, target)

    def _attend(
        self,
        source: _Buffer,
        target: _Buffer,
        heads: int,
        kv_heads: int,
        window: int = 0,
        turn: tuple[Tensor, Tensor] | None = None,
        norms: tuple[Tensor, Tensor] | None = None,
        epsilon: float = 0.0,
    ) -> None:
        operation = Operation(
            kind=library.ATTEND,
            heads=heads,
            kv_heads=kv_heads,
            head=self._head,
            window=window,
            epsilon=epsilon,
            cache_format=_CACHES[self._cache_like.dtype],
        )
        if turn is not None:
            operation.cosines, operation.sines = (part.data_ptr() for part in turn)
        if norms is not None:
            operation.query_norm, operation.key_norm = (part.data_ptr() for part in norms)
        self._add(operation, source, target)

    def _add(self, operation: Operation, source: _Buffer | None, target: _Buffer) -> None:
        operation.source_width = 0 if source is None else source.width
        operation.target_width = target.width
        self._steps.append(_Step(operation, source, target))

    def _pack(self, weight: Tensor, bias: Tensor | None) -> Packed:
        packed = pack(weight.detach(), None if bias is None else bias.detach(), self._quantization)
        packed = replace(packed, weights=self._arena.take(packed.weights))
        self._kept += packed.tensors
        self._weights += packed.outputs * packed.inputs
        return packed

    def _keep(self, tensor: Tensor) -> Tensor:
        """A float32 copy, or the tensor itself, that lives as long as this."""
        kept = torch.empty_like(tensor, dtype=torch.float32, memory_format=torch.contiguous_format)
        self._kept.append(kept.copy_(tensor.detach()))  # a view of the file would keep all of it mapped
        return self._kept[-1]

    # Running it ------------------------------------------------------------------------------------------------------

    def _threads(self, tokens: int) -> int:
        """As many as have enough to do; no number depends on it."""
        seconds = self._bytes / _BYTES_A_SECOND + 2 * self._weights * tokens / _OPERATIONS_A_SECOND
        return min(torch.get_num_threads(), math.ceil(seconds / _SECONDS_FOR_A_THREAD))

    def _make_room(self, tokens: int, longest: int) -> None:
        """Buffers for so many tokens; they only grow."""
        needed = self._kernel.scratch_bytes(tokens, self._widest, longest, self._threads(tokens))
        if needed > self._scratch.numel():
            self._scratch = torch.empty(needed, dtype=torch.uint8)
        if tokens <= self._tokens:
            return
        self._tokens = tokens
        for operation, step in zip(self._body, self._steps, strict=True):
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
            widest=self._widest,
            longest=longest,
            threads=self._threads(len(tokens_M)),
        )


def _described(packed: Packed) -> Weight:
    """As the kernel sees it. The tensors must be kept by somebody."""
    return Weight(
        format=library.FORMATS[packed.format],
        outputs=packed.outputs,
        inputs=packed.inputs,
        packed=packed.weights.data_ptr(),
        scales=None if packed.scales is None else packed.scales.data_ptr(),
        bias=None if packed.bias is None else packed.bias.data_ptr(),
    )

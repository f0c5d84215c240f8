"""Grouped-query attention by whatever is fast for device and dtype, who may look at whom, and the cache of the seen.

Shapes: B rows, H query heads, K key/value heads (H is a multiple of K), T queries, S keys, E width of a head.
"""

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.models import blockwise, functional
from engine.models.base import check_room
from engine.models.pages import PAGE, PageTable, Pool, most_pages, pages_of

Attend = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Queries [B, H, T, E], keys and values [B, K, T, E] of one layer to attended values [B, H, T, E]."""
BLOCK = PAGE
"""The cache is read in whole blocks, so that a row's sums are added up in one order however long its neighbours are."""

_BY_BLOCKS = (torch.float32, torch.bfloat16)
_MOST_SCORES = 1 << 24
"""Scores held at once on the way by matrix products; beyond, torch's own kernel, which holds only blocks of them."""


def attention(q_BHTE: Tensor, k_BKSE: Tensor, v_BKSE: Tensor, seen: Tensor | None, softcap: float = 0.0) -> Tensor:
    """Attended values [B, H, T, E].

    With ``softcap`` scores are drawn between minus and plus that number (Gemma 2), and ``seen`` is true or false.

    ``seen`` [B, 1, T, S], or what broadcasts to that, is true where a query may look at a key; on a GPU it may be what
    is added to the scores instead. Without it attention is causal and T equals S.
    """
    if softcap:
        return _softcapped(q_BHTE, k_BKSE, v_BKSE, _causal(q_BHTE) if seen is None else seen, softcap)
    if _products_are_faster(q_BHTE, k_BKSE):
        seen = _causal(q_BHTE) if seen is None else seen
        return _by_products(q_BHTE, k_BKSE, v_BKSE, _bias(seen, torch.bfloat16))
    if _heads_cannot_share(q_BHTE, k_BKSE, seen):
        return _without_sharing(q_BHTE, k_BKSE, v_BKSE, seen)
    return F.scaled_dot_product_attention(
        q_BHTE, k_BKSE, v_BKSE, attn_mask=seen, is_causal=seen is None, enable_gqa=True
    )


def _products_are_faster(q_BHTE: Tensor, k_BKSE: Tensor) -> bool:
    """Plain ones: in bf16 on a CPU, torch's kernel takes 2 (training) to 17 (decoding) times as long."""
    scores = q_BHTE.shape[0] * q_BHTE.shape[1] * q_BHTE.shape[2] * k_BKSE.shape[2]
    return _is_bf16_on_a_cpu(q_BHTE) and scores <= _MOST_SCORES


def _is_bf16_on_a_cpu(x: Tensor) -> bool:
    return x.device.type == "cpu" and x.dtype == torch.bfloat16


def _heads_cannot_share(q_BHTE: Tensor, k_BKSE: Tensor, seen: Tensor | None) -> bool:
    """Whether torch would hold all scores, in float32, where a group of heads shares keys on a GPU.

    Of its kernels that hold only blocks of them, the one that takes a mask or float32, or runs before Ampere, wants
    keys for each head (torch 2.13).
    """
    shares = q_BHTE.device.type == "cuda" and q_BHTE.shape[1] != k_BKSE.shape[1]
    return shares and (seen is not None or q_BHTE.dtype != torch.bfloat16)


def _without_sharing(q_BHTE: Tensor, k_BKSE: Tensor, v_BKSE: Tensor, seen: Tensor | None) -> Tensor:
    """The same with as many heads of keys as of queries."""
    groups = k_BKSE.shape[1]
    if q_BHTE.shape[2] == 1:  # all heads of a group see the same, as queries of one head do then: nothing is copied
        grouped_BKGE = q_BHTE.reshape(q_BHTE.shape[0], groups, -1, q_BHTE.shape[3])
        return F.scaled_dot_product_attention(grouped_BKGE, k_BKSE, v_BKSE, attn_mask=seen).reshape(q_BHTE.shape)
    each = q_BHTE.shape[1] // groups
    k_BHSE, v_BHSE = (part[:, :, None].expand(-1, -1, each, -1, -1).flatten(1, 2) for part in (k_BKSE, v_BKSE))
    return F.scaled_dot_product_attention(q_BHTE, k_BHSE, v_BHSE, attn_mask=seen, is_causal=seen is None)


def _causal(q_BHTE: Tensor) -> Tensor:
    return q_BHTE.new_ones(1, 1, q_BHTE.shape[2], q_BHTE.shape[2], dtype=torch.bool).tril()


def _bias(seen: Tensor, dtype: torch.dtype) -> Tensor:
    """What is added to the scores: nothing, or minus infinity where a query may not look."""
    return torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill_(~seen, float("-inf"))


def _by_products(q_BHTE: Tensor, k_BKSE: Tensor, v_BKSE: Tensor, bias: Tensor) -> Tensor:
    batch, heads, queries, width = q_BHTE.shape
    groups, keys = k_BKSE.shape[1:3]
    grouped = (q_BHTE * width**-0.5).reshape(batch, groups, -1, width)
    scores_BHTS = (grouped @ k_BKSE.transpose(2, 3)).view(batch, heads, queries, keys) + bias
    shares = scores_BHTS.softmax(-1).view(batch, groups, -1, keys)
    return torch.matmul(shares, v_BKSE).view(batch, heads, queries, width)


def _softcapped(q_BHTE: Tensor, k_BKSE: Tensor, v_BKSE: Tensor, seen_BTS: Tensor, softcap: float) -> Tensor:
    """By products, for kernels of torch know no bound; not more scores than `_MOST_SCORES` at once."""
    batch, heads, queries, width = q_BHTE.shape
    groups, keys = k_BKSE.shape[1:3]
    at_once = max(1, _MOST_SCORES // (batch * heads * keys))
    if queries > at_once:
        parts = [slice(start, start + at_once) for start in range(0, queries, at_once)]
        return torch.cat(
            [_softcapped(q_BHTE[:, :, part], k_BKSE, v_BKSE, seen_BTS[:, :, part], softcap) for part in parts], dim=2
        )
    grouped = (q_BHTE * width**-0.5).reshape(batch, groups, -1, width)
    scores_BHTS = (grouped @ k_BKSE.transpose(2, 3)).view(batch, heads, queries, keys).float()
    bounded_BHTS = functional.softcapped(scores_BHTS, softcap).masked_fill(~seen_BTS, float("-inf"))
    shares = bounded_BHTS.softmax(-1).to(q_BHTE.dtype).view(batch, groups, -1, keys)
    return torch.matmul(shares, v_BKSE).view(batch, heads, queries, width)


class _Packed:
    """Attention in packed rows. What it needs is made once, for all layers of a batch."""

    def __init__(self, begins_BT: Tensor, softcap: float, most_kept: int) -> None:
        self._begins_BT = begins_BT
        self._softcap = softcap
        self._most_kept = most_kept
        positions_T = torch.arange(begins_BT.shape[1], device=begins_BT.device)
        seen_BTT = (positions_T >= begins_BT[:, :, None]) & (positions_T <= positions_T[:, None])
        # Not when it is first needed: that may be within what torch compiles, once more for each number of positions.
        self._seen = seen_BTT[:, None] if bool(begins_BT.any()) else None
        self._added: Tensor | None = None

    def __call__(self, q_BHTE: Tensor, k_BKTE: Tensor, v_BKTE: Tensor) -> Tensor:
        if self._softcap:
            return attention(q_BHTE, k_BKTE, v_BKTE, self._seen, self._softcap)
        if q_BHTE.device.type == "cpu" and q_BHTE.dtype in _BY_BLOCKS and not torch.compiler.is_compiling():
            mixed_BHTE = blockwise.attend_by_kernel(q_BHTE, k_BKTE, v_BKTE, self._begins_BT)
            if mixed_BHTE is None:
                mixed_BHTE = blockwise.attend(q_BHTE, k_BKTE, v_BKTE, self._blocks, self._most_kept)
            return mixed_BHTE
        return attention(q_BHTE, k_BKTE, v_BKTE, self._mask(q_BHTE))

    def _mask(self, q_BHTE: Tensor) -> Tensor | None:
        """On a GPU, what torch makes of ``seen``: left to torch, each layer makes its own and keeps it to the end."""
        if self._seen is None or q_BHTE.device.type != "cuda" or torch.compiler.is_compiling():
            return self._seen
        if self._added is None or self._added.dtype != q_BHTE.dtype:
            self._added = _bias(self._seen, q_BHTE.dtype)
        return self._added

    @functools.cached_property
    def _blocks(self) -> list[blockwise.Block]:
        return blockwise.blocks(self._begins_BT)


def packed(documents_BT: Tensor, window: int = 0, softcap: float = 0.0, *, is_thrifty: bool = False) -> Attend:
    """Attention within each document, to what went before, and where ``window`` is not 0 to as many positions only.

    With ``is_thrifty`` as little as possible is kept for the way back. The positions of a document, numbered in
    ``documents_BT``, follow one another.
    """
    positions_BT = torch.arange(documents_BT.shape[1], device=documents_BT.device).expand_as(documents_BT)
    begin_BT = documents_BT.diff(dim=1, prepend=documents_BT[:, :1]) != 0
    begins_BT = (positions_BT * begin_BT).cummax(dim=1).values
    begins_BT = torch.maximum(begins_BT, positions_BT - (window - 1)) if window else begins_BT
    return _Packed(begins_BT, softcap, 0 if is_thrifty else blockwise.MOST_KEPT)


@dataclass
class KeyValueCache:
    """Keys and values of every layer, in pages. Implements `engine.models.base.Cache`.

    Attributes:
        table: which pages each row has.
        pool: the pages, each [layers, 2, K, PAGE, E]: keys, then values.
        read_whole: all positions are read, those that nobody may look at masked: shapes do not depend on numbers then.
    """

    rows: int
    length: int
    table: PageTable
    pool: Pool
    read_whole: bool = False
    rewinds = True

    @classmethod
    def like(cls, weight: Tensor, layers: int, rows: int, kv_heads: int, length: int, width: int) -> "KeyValueCache":
        """An empty one on the device and in the dtype of ``weight``."""
        first, most = most_pages(1, length), most_pages(rows, length)
        pool = Pool((layers, 2, kv_heads, PAGE, width), weight.dtype, weight.device, first=first, most=most)
        return cls(rows, length, PageTable(rows, length, weight.device, [pool]), pool)

    @property
    def held_bytes(self) -> int:
        """Bytes of all that it remembers now."""
        return self.table.held_bytes

    def row_bytes(self, row: int) -> int:
        """Bytes of what it remembers of one row."""
        return self.table.row_bytes(row)

    def bytes_for(self, positions: int) -> int:
        """Bytes of a row of so many positions."""
        return pages_of(positions) * self.table.page_bytes

    def memory_for(self, more: int) -> int:
        """Bytes that must be free so that rows can grow by ``more`` bytes."""
        return self.table.memory_for(more)

    def copy(self, source: int, target: int, length: int) -> None:
        """Let row ``target`` begin with the first ``length`` positions of row ``source``; they share memory."""
        self.table.share(source, target, length)

    def truncate(self, row: int, length: int) -> None:
        """Give the memory back of what a row holds beyond ``length`` positions."""
        self.table.truncate(row, length)

    def make_room(self, row: int, start: int, end: int) -> None:
        """Let positions ``start`` to ``end`` - 1 of a row be written.

        Raises:
            ValueError: ``end`` is beyond the length of the cache.
        """
        check_room(end, self)
        self.table.make_room(row, start, end)

    def beginnings(self, length: int) -> "KeyValueCache":
        """The same memory, of each row the first ``length`` positions, which are always read whole.

        Nobody checks that no position is beyond them, or makes room: that would be a look at numbers on the device.
        """
        return KeyValueCache(self.rows, length, self.table, self.pool, read_whole=True)

    def attends(
        self, rows_B: Tensor, positions_BT: Tensor, windows: int | Sequence[int] = 0, softcap: float = 0.0
    ) -> list[Attend]:
        """For each layer attention that writes new keys and values at ``positions_BT``, then looks at what is written.

        ``windows`` is that of all layers, or of each; see `packed` for 0, and `attention` for ``softcap``.

        Raises:
            ValueError: a position is beyond the length of the cache.
        """
        read = self.length if self.read_whole else self._make_room_for(rows_B, positions_BT)
        device = positions_BT.device
        keys_at = torch.arange(read, device=device)
        memory = self.pool.memory
        windows = [windows] * memory.shape[1] if isinstance(windows, int) else windows
        written_BTS = keys_at <= positions_BT[:, :, None]
        seen = {
            window: written_BTS & (keys_at > positions_BT[:, :, None] - window) if window else written_BTS
            for window in set(windows)
        }
        heads_K = torch.arange(memory.shape[3], device=device)
        written = self.table.table_RP[rows_B[:, None], positions_BT // PAGE], positions_BT % PAGE
        places = _Places(
            read=(self.table.table_RP[rows_B, : pages_of(read)][:, None], heads_K[:, None]),
            written=(written[0][:, :, None], heads_K, written[1][:, :, None]),
        )
        return [
            functools.partial(
                _through, memory[:, layer, 0], memory[:, layer, 1], places, seen[window][:, None], softcap
            )
            for layer, window in enumerate(windows)
        ]

    def _make_room_for(self, rows_B: Tensor, positions_BT: Tensor) -> int:
        """Room for positions, those of a row side by side; how many are to be read."""
        spans = zip(rows_B.tolist(), positions_BT[:, 0].tolist(), positions_BT[:, -1].tolist(), strict=True)
        used = 0
        for row, first, last in spans:
            self.make_room(row, first, last + 1)
            used = max(used, last + 1)
        return min(math.ceil(used / BLOCK) * BLOCK, self.length)


@dataclass(frozen=True)
class _Places:
    """Where a step reads and writes in a layer [pages, K, PAGE, E], as indices."""

    read: tuple[Tensor, Tensor]
    written: tuple[Tensor, Tensor, Tensor]


def _through(
    keys: Tensor,
    values: Tensor,
    places: _Places,
    seen_B1TS: Tensor,
    softcap: float,
    q_BHTE: Tensor,
    k_BKTE: Tensor,
    v_BKTE: Tensor,
) -> Tensor:
    """Write into one layer of a cache, then attend to all of it that may be seen."""
    read = seen_B1TS.shape[-1]
    keys[places.written] = k_BKTE.detach().transpose(1, 2)
    values[places.written] = v_BKTE.detach().transpose(1, 2)
    k_BKSE, v_BKSE = (part[places.read].flatten(2, 3)[:, :, :read] for part in (keys, values))
    return attention(q_BHTE, k_BKSE, v_BKSE, seen_B1TS, softcap)

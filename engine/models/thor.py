"""The ``thor`` family: a pre-norm decoder, RMSNorm, SwiGLU, rotary positions, grouped-query attention, tied embeddings.

Weights are named and shaped as in Llama, so they go to and come from the Hugging Face layout unchanged. Shapes beside
those of `engine.models.base`: H query heads, K key/value heads, E width of a head, S positions in the cache.

Sources: Touvron et al., LLaMA (2302.13971); Su et al., RoFormer (2104.09864); Shazeer, GLU Variants (2002.05202);
Ainslie et al., GQA (2305.13245).
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.config import ModelSettings, ThorShape
from engine.models.attention import attention
from engine.models.base import Cache

INIT_DEVIATION = 0.02
BLOCK = 64
"""The cache is read in whole blocks, so that a row's sums are added up in one order however long its neighbours are."""

Attend = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Queries [B, H, T, E], keys and values [B, K, T, E] of one layer to attended values [B, H, T, E]."""


@dataclass
class ThorCache:
    """Keys and values of every layer, each [rows, K, length, E]."""

    rows: int
    length: int
    keys: list[Tensor]
    values: list[Tensor]


class Thor(nn.Module):
    """A language model of the family. Implements `engine.models.base.LanguageModel`."""

    def __init__(self, settings: ModelSettings, vocabulary: int) -> None:
        super().__init__()
        self.shape = settings.shape
        self.vocabulary = vocabulary
        self.context = self.shape.context
        self.rope_theta = settings.rope_theta
        self.dropout = settings.dropout
        self.model = Decoder(self.shape, vocabulary, settings.norm_epsilon, settings.dropout)

    def hidden(self, tokens_BT: Tensor, positions_BT: Tensor, documents_BT: Tensor) -> Tensor:
        """Hidden states of packed rows, [B, T, D]."""
        attend = _causal if _one_document_a_row(documents_BT) else _causal_within(documents_BT)
        return self._forward(tokens_BT, positions_BT, [attend] * self.shape.layers)

    def step(self, tokens_BT: Tensor, cache: Cache, rows_B: Tensor, starts_B: Tensor) -> Tensor:
        """Hidden states [B, T, D] of the next T tokens of B cache rows.

        Raises:
            TypeError: the cache is another family's.
            ValueError: a row would grow beyond the length of the cache.
        """
        if not isinstance(cache, ThorCache):
            raise TypeError(f"thor needs its own cache, not a {type(cache).__name__}")
        positions_BT = starts_B[:, None] + torch.arange(tokens_BT.shape[1], device=tokens_BT.device)
        used = int(starts_B.max()) + tokens_BT.shape[1]
        if used > cache.length:
            raise ValueError(f"{used} positions do not fit into a cache of {cache.length}")
        read = min(math.ceil(used / BLOCK) * BLOCK, cache.length)
        seen_B1TS = (torch.arange(read, device=tokens_BT.device) <= positions_BT[:, :, None])[:, None]
        attends = [
            _through_cache(keys, values, rows_B, positions_BT, seen_B1TS)
            for keys, values in zip(cache.keys, cache.values, strict=True)
        ]
        return self._forward(tokens_BT, positions_BT, attends)

    def logits(self, hidden_ND: Tensor) -> Tensor:
        """Scores [N, V] over the vocabulary, by the tied embedding."""
        scores_NV: Tensor = self.model.embed_tokens(hidden_ND)
        return scores_NV

    def make_cache(self, rows: int, length: int) -> ThorCache:
        """A cache on the model's device and in its dtype.

        Raises:
            ValueError: ``length`` is beyond the context the model was made for.
        """
        if length > self.context:
            raise ValueError(f"a cache of {length} positions is beyond the model's context of {self.context}")
        weight = self.model.embed_tokens.weight
        size = (rows, self.shape.kv_heads, length, self.shape.hidden // self.shape.heads)

        def allocate() -> list[Tensor]:
            return [torch.zeros(size, dtype=weight.dtype, device=weight.device) for _ in range(self.shape.layers)]

        return ThorCache(rows, length, allocate(), allocate())

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        """Draw every weight: normal, the projections back into the residual stream scaled down by depth (GPT-2)."""
        shrink = 1 / math.sqrt(2 * self.shape.layers)
        for name, weight in self.named_parameters():
            if weight.ndim == 1:
                weight.fill_(1.0)
            else:
                into_residual = name.endswith(("o_proj.weight", "down_proj.weight"))
                weight.normal_(0.0, INIT_DEVIATION * (shrink if into_residual else 1.0), generator=generator)

    def _forward(self, tokens_BT: Tensor, positions_BT: Tensor, attends: list[Attend]) -> Tensor:
        x_BTD = F.dropout(F.embedding(tokens_BT, self.model.embed_tokens.weight), self.dropout, self.training)
        rotation = _rotation(positions_BT, self.shape.hidden // self.shape.heads, self.rope_theta)
        for layer, attend in zip(self.model.layers, attends, strict=True):
            x_BTD = layer(x_BTD, rotation, attend)
        normed_BTD: Tensor = self.model.norm(x_BTD)
        return normed_BTD


class Decoder(nn.Module):
    """The weights under ``model.``."""

    def __init__(self, shape: ThorShape, vocabulary: int, epsilon: float, dropout: float) -> None:
        super().__init__()
        self.embed_tokens = Linear(shape.hidden, vocabulary)
        self.layers = nn.ModuleList([Layer(shape, epsilon, dropout) for _ in range(shape.layers)])
        self.norm = RMSNorm(shape.hidden, epsilon)


class Layer(nn.Module):
    """Attention and feed-forward, each behind a norm and around a residual."""

    def __init__(self, shape: ThorShape, epsilon: float, dropout: float) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(shape.hidden, epsilon)
        self.self_attn = Attention(shape)
        self.post_attention_layernorm = RMSNorm(shape.hidden, epsilon)
        self.mlp = FeedForward(shape)
        self.dropout = dropout

    def forward(self, x_BTD: Tensor, rotation: tuple[Tensor, Tensor], attend: Attend) -> Tensor:
        """One layer further."""
        attended_BTD = self.self_attn(self.input_layernorm(x_BTD), rotation, attend)
        x_BTD = x_BTD + F.dropout(attended_BTD, self.dropout, self.training)
        fed_BTD = self.mlp(self.post_attention_layernorm(x_BTD))
        return x_BTD + F.dropout(fed_BTD, self.dropout, self.training)


class Attention(nn.Module):
    """Grouped-query attention: H query heads share K key/value heads."""

    def __init__(self, shape: ThorShape) -> None:
        super().__init__()
        self.width = shape.hidden // shape.heads
        self.q_proj = Linear(shape.hidden, shape.heads * self.width)
        self.k_proj = Linear(shape.hidden, shape.kv_heads * self.width)
        self.v_proj = Linear(shape.hidden, shape.kv_heads * self.width)
        self.o_proj = Linear(shape.heads * self.width, shape.hidden)

    def forward(self, x_BTD: Tensor, rotation: tuple[Tensor, Tensor], attend: Attend) -> Tensor:
        """Mix positions; ``attend`` decides which may see which."""
        q_BHTE, k_BKTE, v_BKTE = (
            projection(x_BTD).unflatten(-1, (-1, self.width)).transpose(1, 2)
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        mixed_BHTE = attend(_rotate(q_BHTE, rotation), _rotate(k_BKTE, rotation), v_BKTE)
        out_BTD: Tensor = self.o_proj(mixed_BHTE.transpose(1, 2).flatten(2))
        return out_BTD


class FeedForward(nn.Module):
    """SwiGLU."""

    def __init__(self, shape: ThorShape) -> None:
        super().__init__()
        self.gate_proj = Linear(shape.hidden, shape.feed_forward)
        self.up_proj = Linear(shape.hidden, shape.feed_forward)
        self.down_proj = Linear(shape.feed_forward, shape.hidden)

    def forward(self, x_BTD: Tensor) -> Tensor:
        """Each position for itself."""
        out_BTD: Tensor = self.down_proj(F.silu(self.gate_proj(x_BTD)) * self.up_proj(x_BTD))
        return out_BTD


class Linear(nn.Module):
    """A product with a weight [outputs, inputs] that starts undefined: drawing values for `nn.Linear`'s is wasted."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))

    def forward(self, x: Tensor) -> Tensor:
        """[..., inputs] to [..., outputs]."""
        return F.linear(x, self.weight)


class RMSNorm(nn.Module):
    """Scale to unit root mean square, then by a learned weight."""

    def __init__(self, width: int, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.epsilon = epsilon

    def forward(self, x_BTD: Tensor) -> Tensor:
        """The same shape, normalised."""
        return F.rms_norm(x_BTD, self.weight.shape, self.weight, self.epsilon)


def _rotation(positions_BT: Tensor, width: int, theta: float) -> tuple[Tensor, Tensor]:
    """Cosines and sines [B, 1, T, E] that turn a head by its position, in the half-split layout of Llama."""
    even = torch.arange(0, width, 2, dtype=torch.float32, device=positions_BT.device)
    angles = positions_BT[:, None, :, None].float() * theta ** (-even / width)
    angles = torch.cat((angles, angles), dim=-1)
    return angles.cos(), angles.sin()


def _rotate(x_BHTE: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
    cos, sin = (part.to(x_BHTE.dtype) for part in rotation)
    first, second = x_BHTE.chunk(2, dim=-1)
    return x_BHTE * cos + torch.cat((-second, first), dim=-1) * sin


def _one_document_a_row(documents_BT: Tensor) -> bool:
    return bool((documents_BT == documents_BT[:, :1]).all())


def _causal(q_BHTE: Tensor, k_BKTE: Tensor, v_BKTE: Tensor) -> Tensor:
    return attention(q_BHTE, k_BKTE, v_BKTE, seen=None)


def _causal_within(documents_BT: Tensor) -> Attend:
    """Attention that is causal and stays inside each document."""
    length = documents_BT.shape[1]
    causal_TT = torch.ones(length, length, dtype=torch.bool, device=documents_BT.device).tril()
    seen_B1TT = ((documents_BT[:, :, None] == documents_BT[:, None, :]) & causal_TT)[:, None]
    return functools.partial(attention, seen=seen_B1TT)


def _through_cache(keys: Tensor, values: Tensor, rows_B: Tensor, positions_BT: Tensor, seen_B1TS: Tensor) -> Attend:
    """Attention that writes new keys and values into one layer of a cache, then looks at all that is written."""
    used = seen_B1TS.shape[-1]

    def attend(q_BHTE: Tensor, k_BKTE: Tensor, v_BKTE: Tensor) -> Tensor:
        keys[rows_B[:, None], :, positions_BT] = k_BKTE.transpose(1, 2)
        values[rows_B[:, None], :, positions_BT] = v_BKTE.transpose(1, 2)
        return attention(q_BHTE, keys[rows_B, :, :used], values[rows_B, :, :used], seen_B1TS)

    return attend

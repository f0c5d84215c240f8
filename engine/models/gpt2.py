"""The ``gpt2`` family: a pre-norm decoder, LayerNorm, learned positions, GELU, biases everywhere, tied embeddings.

Weights are named and shaped as in Hugging Face's GPT-2, projections as [inputs, outputs]. Shapes beside those of
`engine.models.base`: H heads, E width of a head.

Source: Radford et al., Language Models are Unsupervised Multitask Learners (2019).
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.families.gpt2 import GPT2, Gpt2Shape
from engine.models import functional
from engine.models.attention import Attend, KeyValueCache, packed
from engine.models.base import Cache, check_context
from engine.models.linear import Projection
from engine.models.norms import LayerNorm, Norm

INIT_DEVIATION = 0.02
WIDENING = 4
"""The feed-forward part is so many times as wide as the residual stream."""


class Gpt2(nn.Module):
    """A language model of the family. Implements `engine.models.base.LanguageModel`."""

    family = GPT2

    def __init__(self, shape: Gpt2Shape, vocabulary: int, dropout: float) -> None:
        super().__init__()
        self.shape = shape
        self.vocabulary = vocabulary
        self.context = shape.context
        self.dropout = dropout
        self.transformer = Gpt2Decoder(shape, vocabulary, dropout)

    def hidden(self, tokens_BT: Tensor, positions_BT: Tensor, documents_BT: Tensor) -> Tensor:
        """Hidden states of packed rows, [B, T, D]; a document has no more positions than the context."""
        is_frozen = not self.transformer.wte.weight.requires_grad  # an adapter learns, to which memory matters more
        attend = packed(documents_BT, is_thrifty=is_frozen)
        return self._forward(tokens_BT, positions_BT, [attend] * self.shape.layers)

    def step(self, tokens_BT: Tensor, cache: Cache, rows_B: Tensor, starts_B: Tensor) -> Tensor:
        """Hidden states [B, T, D] of the next T tokens of B cache rows.

        Raises:
            TypeError: the cache is another family's.
            ValueError: a row would grow beyond the length of the cache.
        """
        if not isinstance(cache, KeyValueCache):
            raise TypeError(f"gpt2 needs keys and values, not a {type(cache).__name__}")
        positions_BT = starts_B[:, None] + torch.arange(tokens_BT.shape[1], device=tokens_BT.device)
        return self._forward(tokens_BT, positions_BT, cache.attends(rows_B, positions_BT))

    def logits(self, hidden_ND: Tensor) -> Tensor:
        """Scores [N, V] over the vocabulary, by the tied embedding."""
        return functional.scores(hidden_ND, self.transformer.wte.weight)

    def make_cache(self, rows: int, length: int) -> KeyValueCache:
        """A cache on the model's device and in its dtype.

        Raises:
            ValueError: ``length`` is beyond the context: there are no more positions.
        """
        check_context(length, self.context)
        shape, weight = self.shape, self.transformer.wte.weight
        return KeyValueCache.like(weight, shape.layers, rows, shape.heads, length, shape.hidden // shape.heads)

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        """Draw every weight: normal, the projections back into the residual stream scaled down by depth."""
        shrink = 1 / math.sqrt(2 * self.shape.layers)
        for name, weight in self.named_parameters():
            if weight.ndim == 1:
                weight.fill_(0.0 if name.endswith("bias") else 1.0)
            else:
                into_residual = name.endswith("c_proj.weight")
                weight.normal_(0.0, INIT_DEVIATION * (shrink if into_residual else 1.0), generator=generator)

    def _forward(self, tokens_BT: Tensor, positions_BT: Tensor, attends: Sequence[Attend]) -> Tensor:
        decoder = self.transformer
        x_BTD = F.dropout(decoder.wte(tokens_BT) + decoder.wpe(positions_BT), self.dropout, self.training)
        for layer, attend in zip(decoder.h, attends, strict=True):
            x_BTD = layer(x_BTD, attend)
        normed_BTD: Tensor = decoder.ln_f(x_BTD)
        return normed_BTD


class Gpt2Decoder(nn.Module):
    """The weights under ``transformer.``."""

    def __init__(self, shape: Gpt2Shape, vocabulary: int, dropout: float) -> None:
        super().__init__()
        self.wte = Embedding(vocabulary, shape.hidden)
        self.wpe = Embedding(shape.context, shape.hidden)
        self.h = nn.ModuleList([Gpt2Layer(shape, dropout) for _ in range(shape.layers)])
        self.ln_f = LayerNorm(shape.hidden, shape.norm_epsilon)


class Gpt2Layer(nn.Module):
    """Attention and feed-forward, each behind a norm and around a residual."""

    def __init__(self, shape: Gpt2Shape, dropout: float) -> None:
        super().__init__()
        self.ln_1 = LayerNorm(shape.hidden, shape.norm_epsilon)
        self.attn = Gpt2Attention(shape)
        self.ln_2 = LayerNorm(shape.hidden, shape.norm_epsilon)
        self.mlp = Gpt2FeedForward(shape)
        self.dropout = dropout

    def forward(self, x_BTD: Tensor, attend: Attend) -> Tensor:
        """One layer further."""
        x_BTD = x_BTD + F.dropout(self.attn(x_BTD, self.ln_1, attend), self.dropout, self.training)
        return x_BTD + F.dropout(self.mlp(x_BTD, self.ln_2), self.dropout, self.training)


class Gpt2Attention(nn.Module):
    """Attention of H heads; queries, keys and values come from one projection."""

    def __init__(self, shape: Gpt2Shape) -> None:
        super().__init__()
        self.width = shape.hidden // shape.heads
        self.c_attn = Projection(shape.hidden, 3 * shape.hidden)
        self.c_proj = Projection(shape.hidden, shape.hidden)

    def forward(self, x_BTD: Tensor, norm: Norm, attend: Attend) -> Tensor:
        """Mix positions, normed first; ``attend`` decides which may see which."""
        (all_BTN,) = self.c_attn.together([], lambda read: norm(*read), [x_BTD])
        q_BHTE, k_BHTE, v_BHTE = (
            part_BTD.view(*part_BTD.shape[:-1], -1, self.width).transpose(1, 2) for part_BTD in all_BTN.chunk(3, dim=-1)
        )
        out_BTD: Tensor = self.c_proj(attend(q_BHTE, k_BHTE, v_BHTE).transpose(1, 2).flatten(2))
        return out_BTD


class Gpt2FeedForward(nn.Module):
    """Two projections with GELU, in its tanh form, between them."""

    def __init__(self, shape: Gpt2Shape) -> None:
        super().__init__()
        self.c_fc = Projection(shape.hidden, WIDENING * shape.hidden)
        self.c_proj = Projection(WIDENING * shape.hidden, shape.hidden)

    def forward(self, x_BTD: Tensor, norm: Norm) -> Tensor:
        """Each position for itself, normed first."""
        wide = self.c_fc.together([], lambda read: norm(*read), [x_BTD])
        (out_BTD,) = self.c_proj.together([], lambda read: functional.gelu(*read), wide)
        return out_BTD


class Embedding(nn.Module):
    """A row for each id."""

    def __init__(self, ids: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(ids, width))

    def forward(self, ids_BT: Tensor) -> Tensor:
        """[B, T] to [B, T, D]."""
        return functional.embedding(ids_BT, self.weight)

"""The ``thor`` family: a pre-norm decoder, RMSNorm, SwiGLU, rotary positions, grouped-query attention.

Weights are named and shaped as in Llama, so they go to and come from the Hugging Face layout unchanged; biases on
queries, keys and values make it Qwen2, norms on queries and keys Qwen3, a window Mistral. Shapes beside those of
`engine.models.base`: H query heads, K key/value heads, E width of a head.

Sources: Touvron et al., LLaMA (2302.13971); Shazeer, GLU Variants (2002.05202); Ainslie et al., GQA (2305.13245);
Jiang et al., Mistral (2310.06825).
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.families.thor import THOR, ThorShape
from engine.models import functional
from engine.models.attention import Attend, KeyValueCache, packed
from engine.models.base import Cache, check_context
from engine.models.feed_forward import ThorFeedForward
from engine.models.linear import Linear
from engine.models.norms import RMSNorm
from engine.models.rotary import frequencies, magnitude, rotation
from engine.models.self_attention import ThorAttention

INIT_DEVIATION = 0.02


class Thor(nn.Module):
    """A language model of the family. Implements `engine.models.base.LanguageModel`."""

    family = THOR

    def __init__(self, shape: ThorShape, vocabulary: int, dropout: float) -> None:
        super().__init__()
        self.shape = shape
        self.vocabulary = vocabulary
        self.context = shape.context
        self.dropout = dropout
        self.frequencies = frequencies(
            shape.width, shape.rope_theta, shape.rope_scaling, shape.rope_factor, shape.rope_trained
        )
        self.magnitude = magnitude(shape.rope_scaling, shape.rope_factor)
        self.model = ThorDecoder(shape, vocabulary, dropout)
        self.lm_head = None if shape.tied else Linear(shape.hidden, vocabulary)

    def hidden(self, tokens_BT: Tensor, positions_BT: Tensor, documents_BT: Tensor) -> Tensor:
        """Hidden states of packed rows, [B, T, D]."""
        attend = packed(documents_BT, self.shape.window)
        return self._forward(tokens_BT, positions_BT, [attend] * self.shape.layers)

    def step(self, tokens_BT: Tensor, cache: Cache, rows_B: Tensor, starts_B: Tensor) -> Tensor:
        """Hidden states [B, T, D] of the next T tokens of B cache rows.

        Raises:
            TypeError: the cache is another family's.
            ValueError: a row would grow beyond the length of the cache.
        """
        if not isinstance(cache, KeyValueCache):
            raise TypeError(f"thor needs keys and values, not a {type(cache).__name__}")
        positions_BT = starts_B[:, None] + torch.arange(tokens_BT.shape[1], device=tokens_BT.device)
        return self._forward(tokens_BT, positions_BT, cache.attends(rows_B, positions_BT, self.shape.window))

    def logits(self, hidden_ND: Tensor) -> Tensor:
        """Scores [N, V] over the vocabulary, by the tied embedding or a head of its own."""
        head = self.model.embed_tokens if self.lm_head is None else self.lm_head
        return functional.scores(hidden_ND, head.weight)

    def make_cache(self, rows: int, length: int) -> KeyValueCache:
        """A cache on the model's device and in its dtype.

        Raises:
            ValueError: ``length`` is beyond the context the model was made for.
        """
        check_context(length, self.context)
        shape, weight = self.shape, self.model.embed_tokens.weight
        return KeyValueCache.like(weight, shape.layers, rows, shape.kv_heads, length, shape.width)

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        """Draw every weight: normal, the projections back into the residual stream scaled down by depth (GPT-2)."""
        shrink = 1 / math.sqrt(2 * self.shape.layers)
        for name, weight in self.named_parameters():
            if weight.ndim == 1:
                weight.fill_(0.0 if name.endswith("bias") else 1.0)
            else:
                into_residual = name.endswith(("o_proj.weight", "down_proj.weight"))
                weight.normal_(0.0, INIT_DEVIATION * (shrink if into_residual else 1.0), generator=generator)

    def _forward(self, tokens_BT: Tensor, positions_BT: Tensor, attends: Sequence[Attend]) -> Tensor:
        x_BTD = F.dropout(functional.embedding(tokens_BT, self.model.embed_tokens.weight), self.dropout, self.training)
        turn = rotation(positions_BT, self.frequencies, self.magnitude)
        for layer, attend in zip(self.model.layers, attends, strict=True):
            x_BTD = layer(x_BTD, turn, attend)
        normed_BTD: Tensor = self.model.norm(x_BTD)
        return normed_BTD


class ThorDecoder(nn.Module):
    """The weights under ``model.``."""

    def __init__(self, shape: ThorShape, vocabulary: int, dropout: float) -> None:
        super().__init__()
        self.embed_tokens = Linear(shape.hidden, vocabulary)
        self.layers = nn.ModuleList([ThorLayer(shape, dropout) for _ in range(shape.layers)])
        self.norm = RMSNorm(shape.hidden, shape.norm_epsilon)


class ThorLayer(nn.Module):
    """Attention and feed-forward, each behind a norm and around a residual."""

    def __init__(self, shape: ThorShape, dropout: float) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(shape.hidden, shape.norm_epsilon)
        self.self_attn = ThorAttention(shape)
        self.post_attention_layernorm = RMSNorm(shape.hidden, shape.norm_epsilon)
        self.mlp = ThorFeedForward(shape)
        self.dropout = dropout

    def forward(self, x_BTD: Tensor, turn: tuple[Tensor, Tensor], attend: Attend) -> Tensor:
        """One layer further."""
        attended_BTD = self.self_attn(self.input_layernorm(x_BTD), turn, attend)
        x_BTD = x_BTD + F.dropout(attended_BTD, self.dropout, self.training)
        fed_BTD = self.mlp(self.post_attention_layernorm(x_BTD))
        return x_BTD + F.dropout(fed_BTD, self.dropout, self.training)

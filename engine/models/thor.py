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
from engine.models.linear import Linear
from engine.models.rotary import frequencies, magnitude, rotate, rotation

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


class ThorAttention(nn.Module):
    """Grouped-query attention: H query heads share K key/value heads."""

    def __init__(self, shape: ThorShape) -> None:
        super().__init__()
        self.width = shape.width
        self.q_proj = Linear(shape.hidden, shape.heads * self.width, bias=shape.qkv_bias)
        self.k_proj = Linear(shape.hidden, shape.kv_heads * self.width, bias=shape.qkv_bias)
        self.v_proj = Linear(shape.hidden, shape.kv_heads * self.width, bias=shape.qkv_bias)
        self.o_proj = Linear(shape.heads * self.width, shape.hidden)
        self.q_norm = RMSNorm(self.width, shape.norm_epsilon) if shape.qk_norm else None
        self.k_norm = RMSNorm(self.width, shape.norm_epsilon) if shape.qk_norm else None

    def forward(self, x_BTD: Tensor, turn: tuple[Tensor, Tensor], attend: Attend) -> Tensor:
        """Mix positions; ``attend`` decides which may see which."""
        q_BTHE, k_BTKE, v_BTKE = (
            projection(x_BTD).unflatten(-1, (-1, self.width)) for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        if self.q_norm is not None and self.k_norm is not None:
            q_BTHE, k_BTKE = self.q_norm(q_BTHE), self.k_norm(k_BTKE)
        q_BHTE, k_BKTE = rotate(q_BTHE.transpose(1, 2), turn), rotate(k_BTKE.transpose(1, 2), turn)
        mixed_BHTE = attend(q_BHTE, k_BKTE, v_BTKE.transpose(1, 2))
        out_BTD: Tensor = self.o_proj(mixed_BHTE.transpose(1, 2).flatten(2))
        return out_BTD


class ThorFeedForward(nn.Module):
    """SwiGLU."""

    def __init__(self, shape: ThorShape) -> None:
        super().__init__()
        self.gate_proj = Linear(shape.hidden, shape.feed_forward)
        self.up_proj = Linear(shape.hidden, shape.feed_forward)
        self.down_proj = Linear(shape.feed_forward, shape.hidden)

    def forward(self, x_BTD: Tensor) -> Tensor:
        """Each position for itself."""
        out_BTD: Tensor = self.down_proj(functional.gated(self.gate_proj(x_BTD), self.up_proj(x_BTD)))
        return out_BTD


class RMSNorm(nn.Module):
    """Scale to unit root mean square, then by a learned weight."""

    def __init__(self, width: int, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.epsilon = epsilon

    def forward(self, x_BTD: Tensor) -> Tensor:
        """The same shape, normalised, in the dtype of the products that follow."""
        return functional.rms_norm(x_BTD, self.weight, self.epsilon)

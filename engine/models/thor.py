"""The ``thor`` family: a pre-norm decoder, RMSNorm, SwiGLU, rotary positions, grouped-query attention.

Weights are named and shaped as in Llama, Gemma 2 and Phi-3, so they go to and come from the Hugging Face layout
unchanged; biases on queries, keys and values make it Qwen2, norms on queries and keys Qwen3, a window Mistral. Other
settings make it the rest of `engine.huggingface.layouts`.

Sources: Touvron et al., LLaMA (2302.13971); Shazeer, GLU Variants (2002.05202); Ainslie et al., GQA (2305.13245);
Jiang et al., Mistral (2310.06825); the reports on Gemma 2 (2408.00118), Gemma 3 (2503.19786), Phi-3 (2404.14219) and
OLMo 2 (2501.00656); Black et al., GPT-NeoX-20B (2204.06745); Yang et al., positions in some layers only (2501.18795).
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
from engine.models.feed_forward import feed_forward
from engine.models.linear import Linear
from engine.models.norms import NORMS, as_it_is
from engine.models.rotary import Turn, frequencies, magnitude, rotation
from engine.models.self_attention import self_attention

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
            shape.rotary_width,
            shape.rope_theta,
            shape.rope_scaling,
            shape.rope_factor,
            shape.rope_trained,
            shape.rope_divisors,
        )
        self.magnitude = magnitude(shape.rope_scaling, shape.rope_factor, shape.rope_trained)
        self.local_frequencies = frequencies(shape.rotary_width, shape.rope_local_theta or shape.rope_theta)
        self.model = ThorDecoder(shape, vocabulary, dropout)
        self.lm_head = None if shape.tied else Linear(shape.hidden, vocabulary)

    def hidden(self, tokens_BT: Tensor, positions_BT: Tensor, documents_BT: Tensor) -> Tensor:
        """Hidden states of packed rows, [B, T, D]."""
        windows, softcap = self.shape.windows, self.shape.attention_softcap
        is_frozen = not self.model.embed_tokens.weight.requires_grad  # an adapter learns, to which memory matters more
        attends = {window: packed(documents_BT, window, softcap, is_thrifty=is_frozen) for window in set(windows)}
        return self._forward(tokens_BT, positions_BT, [attends[window] for window in windows])

    def step(self, tokens_BT: Tensor, cache: Cache, rows_B: Tensor, starts_B: Tensor) -> Tensor:
        """Hidden states [B, T, D] of the next T tokens of B cache rows.

        Raises:
            TypeError: the cache is another family's.
            ValueError: a row would grow beyond the length of the cache.
        """
        if not isinstance(cache, KeyValueCache):
            raise TypeError(f"thor needs keys and values, not a {type(cache).__name__}")
        positions_BT = starts_B[:, None] + torch.arange(tokens_BT.shape[1], device=tokens_BT.device)
        attends = cache.attends(rows_B, positions_BT, self.shape.windows, self.shape.attention_softcap)
        return self._forward(tokens_BT, positions_BT, attends)

    def logits(self, hidden_ND: Tensor) -> Tensor:
        """Scores [N, V] over the vocabulary, by the tied embedding or a head of its own."""
        head = self.model.embed_tokens if self.lm_head is None else self.lm_head
        scores_NV = functional.scores(hidden_ND, head.weight)
        if self.shape.logits_divisor != 1.0:
            scores_NV = scores_NV / self.shape.logits_divisor
        return functional.softcapped(scores_NV, self.shape.logits_softcap)

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
                is_offset = name.endswith("bias") or self.shape.norm_kind == "rms_offset"
                weight.fill_(0.0 if is_offset else 1.0)
            else:
                into_residual = name.endswith(("o_proj.weight", "down_proj.weight"))
                weight.normal_(0.0, INIT_DEVIATION * (shrink if into_residual else 1.0), generator=generator)

    def _forward(self, tokens_BT: Tensor, positions_BT: Tensor, attends: Sequence[Attend]) -> Tensor:
        shape = self.shape
        x_BTD = functional.embedding(tokens_BT, self.model.embed_tokens.weight)
        if shape.embedding_multiplier != 1.0:
            x_BTD = x_BTD * shape.embedding_multiplier
        x_BTD = F.dropout(x_BTD, self.dropout, self.training)
        turns = self._turns(positions_BT)
        for layer, turn, attend in zip(self.model.layers, turns, attends, strict=True):
            x_BTD = layer(x_BTD, turn, attend)
        normed_BTD: Tensor = self.model.norm(x_BTD)
        return normed_BTD

    def _turns(self, positions_BT: Tensor) -> list[Turn | None]:
        """By what each layer turns queries and keys; None: not at all."""
        shape = self.shape
        everywhere = rotation(positions_BT, self.frequencies, self.magnitude)
        local = rotation(positions_BT, self.local_frequencies) if shape.rope_local_theta else everywhere
        layers = zip(shape.rotated, shape.windows, strict=True)
        return [(local if window else everywhere) if is_rotated else None for is_rotated, window in layers]


class ThorDecoder(nn.Module):
    """The weights under ``model.``."""

    def __init__(self, shape: ThorShape, vocabulary: int, dropout: float) -> None:
        super().__init__()
        self.embed_tokens = Linear(shape.hidden, vocabulary)
        self.layers = nn.ModuleList([ThorLayer(shape, dropout) for _ in range(shape.layers)])
        self.norm = NORMS[shape.norm_kind](shape.hidden, shape.norm_epsilon)


class ThorLayer(nn.Module):
    """Attention and feed-forward, each around a residual.

    ``pre`` norms what each of them reads, ``post`` what each of them adds, ``sandwich`` both. Names are those of public
    layouts, in which ``post_attention_layernorm`` is before the feed-forward part for ``pre`` only.
    """

    def __init__(self, shape: ThorShape, dropout: float) -> None:
        super().__init__()
        norm, placement = NORMS[shape.norm_kind], shape.norm_placement
        is_sandwich = placement == "sandwich"
        self.input_layernorm = None if placement == "post" else norm(shape.hidden, shape.norm_epsilon)
        self.self_attn = self_attention(shape)
        self.post_attention_layernorm = norm(shape.hidden, shape.norm_epsilon)
        self.pre_feedforward_layernorm = norm(shape.hidden, shape.norm_epsilon) if is_sandwich else None
        self.mlp = feed_forward(shape)
        self.post_feedforward_layernorm = None if placement == "pre" else norm(shape.hidden, shape.norm_epsilon)
        self.placement = placement
        self.is_parallel = shape.parallel_residual
        self.residual_multiplier = shape.residual_multiplier
        self.dropout = dropout

    def forward(self, x_BTD: Tensor, turn: Turn | None, attend: Attend) -> Tensor:
        """One layer further."""
        is_pre = self.placement == "pre"
        attended_BTD = self.self_attn(x_BTD, self.input_layernorm or as_it_is, turn, attend)
        if not is_pre:
            attended_BTD = self.post_attention_layernorm(attended_BTD)
        read_BTD = x_BTD
        x_BTD = self._added(x_BTD, attended_BTD)
        before_mlp = self.post_attention_layernorm if is_pre else self.pre_feedforward_layernorm
        fed_BTD = self.mlp(read_BTD if self.is_parallel else x_BTD, before_mlp or as_it_is)
        if self.post_feedforward_layernorm is not None:
            fed_BTD = self.post_feedforward_layernorm(fed_BTD)
        return self._added(x_BTD, fed_BTD)

    def _added(self, x_BTD: Tensor, change_BTD: Tensor) -> Tensor:
        if self.residual_multiplier != 1.0:
            change_BTD = change_BTD * self.residual_multiplier
        return x_BTD + F.dropout(change_BTD, self.dropout, self.training)

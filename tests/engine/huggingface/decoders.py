"""Small random decoders of transformers beyond Llama's kind, each with all that its type has beside Llama.

Windows are shorter than the texts of the tests, bounds of scores are low, and rotary bases differ.
"""

from collections.abc import Callable

from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    GraniteConfig,
    GraniteForCausalLM,
    Olmo2Config,
    Olmo2ForCausalLM,
    Phi3Config,
    Phi3ForCausalLM,
    PreTrainedModel,
    SmolLM3Config,
    SmolLM3ForCausalLM,
)

VOCABULARY = 320
NEOX = {
    "vocab_size": VOCABULARY,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "max_position_embeddings": 64,
    "initializer_range": 0.2,
    "pad_token_id": 0,
}
SMALL = {**NEOX, "num_key_value_heads": 2}
LOCAL = {"rope_type": "default", "rope_theta": 50.0}
LINEAR = {"rope_type": "linear", "factor": 2.0, "rope_theta": 5000.0}
CALM = SMALL | {"initializer_range": 0.1}
"""Positions of longrope make attention sharper: what is rounded shows less in smaller weights."""
LONG = {
    "rope_type": "longrope",
    "rope_theta": 50.0,
    "short_factor": [1.0, 1.1, 1.2, 1.3],
    "long_factor": [1.0, 1.5, 3.0, 4.0],
}
GEMMA = {**SMALL, "head_dim": 16, "sliding_window": 7, "query_pre_attn_scalar": 24, "final_logit_softcapping": 4.0}
GEMMA_BY_HEAD = GEMMA | {"query_pre_attn_scalar": 16}
LAYERS = ["sliding_attention", "sliding_attention", "full_attention"]
SCALED = {"embedding_multiplier": 3.0, "residual_multiplier": 0.4, "attention_multiplier": 0.5, "logits_scaling": 5.0}

MADE: dict[str, Callable[[], PreTrainedModel]] = {
    "gemma3": lambda: Gemma3ForCausalLM(
        Gemma3TextConfig(
            **GEMMA, layer_types=LAYERS, rope_parameters={"full_attention": LINEAR, "sliding_attention": LOCAL}
        )
    ),
    "phi3": lambda: Phi3ForCausalLM(
        Phi3Config(**SMALL, sliding_window=9, rope_parameters={**LOCAL, "partial_rotary_factor": 0.5})
    ),
    "phi3-whole": lambda: Phi3ForCausalLM(Phi3Config(**SMALL, tie_word_embeddings=True)),
    "phi3-long": lambda: Phi3ForCausalLM(
        Phi3Config(**CALM, rope_parameters=LONG, original_max_position_embeddings=2)  # shorter than all texts
    ),
    "smollm3-4": lambda: SmolLM3ForCausalLM(SmolLM3Config(**SMALL | {"num_hidden_layers": 5})),
    "smollm3": lambda: SmolLM3ForCausalLM(SmolLM3Config(**SMALL, no_rope_layer_interval=2)),
    "granite": lambda: GraniteForCausalLM(GraniteConfig(**SMALL, **SCALED)),
    "olmo2": lambda: Olmo2ForCausalLM(Olmo2Config(**SMALL)),
    "gemma2": lambda: Gemma2ForCausalLM(Gemma2Config(**GEMMA, attn_logit_softcapping=2.0)),
    "gpt_neox": lambda: GPTNeoXForCausalLM(GPTNeoXConfig(**NEOX, rotary_pct=0.5)),
    "gpt_neox-sequential": lambda: GPTNeoXForCausalLM(
        GPTNeoXConfig(**NEOX, use_parallel_residual=False, hidden_act="gelu_fast", tie_word_embeddings=True)
    ),
}

USUALLY_SCALED: dict[str, Callable[[], PreTrainedModel]] = {
    "gemma3-by-head": lambda: Gemma3ForCausalLM(
        Gemma3TextConfig(
            **GEMMA_BY_HEAD, layer_types=LAYERS, rope_parameters={"full_attention": LINEAR, "sliding_attention": LOCAL}
        )
    ),
    "gemma2-by-head": lambda: Gemma2ForCausalLM(Gemma2Config(**GEMMA_BY_HEAD, attn_logit_softcapping=2.0)),
}
"""Gemmas that scale attention by the width of a head, as nearly all do: llama.cpp knows no other way."""

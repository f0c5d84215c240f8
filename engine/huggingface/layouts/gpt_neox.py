"""``config.json`` of GPT-NeoX, Pythia among them.

LayerNorm, biases, positions for a part of each head, and attention and feed-forward layers beside each other.
"""

from pathlib import Path
from typing import Literal

from pydantic import JsonValue

from engine.config.model import ModelSettings
from engine.families.family import ModelShape
from engine.families.thor import Mlp
from engine.huggingface.layouts import decoder, rope
from engine.huggingface.layouts.decoder import DecoderConfig
from engine.huggingface.model_layout import ModelLayout, refuse

_ACTIVATIONS: dict[str, Mlp] = {"gelu": "gelu", "gelu_fast": "gelu_tanh", "gelu_new": "gelu_tanh"}
_NAMES = (
    ("model.embed_tokens", "gpt_neox.embed_in"),
    ("model.layers.", "gpt_neox.layers."),
    ("self_attn.qkv_proj", "attention.query_key_value"),
    ("self_attn.o_proj", "attention.dense"),
    ("mlp.up_proj", "mlp.dense_h_to_4h"),
    ("mlp.down_proj", "mlp.dense_4h_to_h"),
    ("model.norm", "gpt_neox.final_layer_norm"),
    ("lm_head", "embed_out"),
)


class NeoXConfig(DecoderConfig):
    """``config.json`` of a GPT-NeoX."""

    model_type: Literal["gpt_neox"]
    layer_norm_eps: float = 1e-5
    hidden_act: str = "gelu"
    attention_bias: bool = True
    use_parallel_residual: bool = True
    rotary_pct: float = 0.25
    rotary_emb_base: float = 10_000.0


def _read(text: bytes, file: Path) -> ModelSettings:
    config = NeoXConfig.model_validate_json(text)
    refuse(file, config.hidden_act not in _ACTIVATIONS, f"hidden_act '{config.hidden_act}'")
    refuse(file, not config.attention_bias, "attention_bias false")
    own: dict[str, JsonValue] = {
        "partial_rotary": config.rope.partial_rotary_factor or config.rotary_pct,
        "norm_kind": "layer",
        "norm_epsilon": config.layer_norm_eps,
        "linear_bias": True,
        "projections": "fused_by_head",
        "mlp": _ACTIVATIONS[config.hidden_act],
        "parallel_residual": config.use_parallel_residual,
        **rope.read(config.rope, file, config.max_position_embeddings, config.rotary_emb_base),
    }
    return decoder.settings(config, file, own)


def _write(shape: ModelShape, tokenizer: str) -> dict[str, JsonValue] | None:
    del tokenizer  # its kind makes no difference
    shape = decoder.of_thor(shape)
    turning = rope.write(shape)
    parameters = turning["rope_parameters"]
    assert isinstance(parameters, dict)
    described: dict[str, JsonValue] = {
        "architectures": ["GPTNeoXForCausalLM"],
        "model_type": "gpt_neox",
        "hidden_size": shape.hidden,
        "intermediate_size": shape.feed_forward,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "max_position_embeddings": shape.context,
        "hidden_act": "gelu_fast" if shape.mlp == "gelu_tanh" else "gelu",
        "layer_norm_eps": shape.norm_epsilon,
        "attention_bias": True,
        "tie_word_embeddings": shape.tied,
        "use_parallel_residual": shape.parallel_residual,
        "rope_scaling": turning["rope_scaling"],
        "rope_parameters": {**parameters, "partial_rotary_factor": shape.partial_rotary},
        "rotary_pct": shape.partial_rotary,
        "rotary_emb_base": parameters["rope_theta"],
    }
    return decoder.if_read_back(described, shape, _read)


LAYOUT = ModelLayout(("gpt_neox",), _read, _write, names=_NAMES)

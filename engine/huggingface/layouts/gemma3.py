"""``config.json`` of the texts of Gemma 3: Gemma's norms and windows, norms on queries and keys, two rotary bases.

A Gemma 3 that sees pictures (``model_type`` gemma3) is another model.
"""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, JsonValue

from engine.config.model import ModelSettings
from engine.families.family import ModelShape
from engine.huggingface.layouts import decoder, gemma, rope
from engine.huggingface.layouts.gemma import GemmaConfig
from engine.huggingface.layouts.rope import Rope
from engine.huggingface.model_layout import ModelLayout, refuse
from engine.section import Width


class RopeByKind(BaseModel):
    """``rope_parameters`` of each kind of layer."""

    model_config = ConfigDict(extra="ignore")

    full_attention: Rope | None = None
    sliding_attention: Rope | None = None


class Positions(BaseModel):
    """Where transformers 5 says how each kind of layer turns."""

    model_config = ConfigDict(extra="ignore")

    rope_parameters: RopeByKind | None = None


class Gemma3Config(GemmaConfig):
    """``config.json`` of a Gemma 3; positions as before transformers 5."""

    model_type: Literal["gemma3_text"]
    rope_theta: float = 1_000_000.0
    rope_local_base_freq: float = 10_000.0
    sliding_window_pattern: Width = 6


def _read(text: bytes, file: Path) -> ModelSettings:
    config = Gemma3Config.model_validate_json(text)
    turning = Positions.model_validate_json(text).rope_parameters or RopeByKind()
    local = turning.sliding_attention or Rope()
    refuse(file, bool(config.attn_logit_softcapping), "attn_logit_softcapping in a Gemma 3")
    refuse(file, local.kind != "default", f"rope_type '{local.kind}' in layers with a window")
    everywhere = turning.full_attention or config.rope_scaling or Rope()
    own = gemma.read(config, file, config.sliding_window_pattern)
    own |= rope.read(everywhere, file, config.max_position_embeddings, config.rope_theta)
    own |= {"rope_local_theta": local.rope_theta or config.rope_local_base_freq, "qk_norm": True}
    return decoder.settings(config, file, own)


def _write(shape: ModelShape, tokenizer: str) -> dict[str, JsonValue] | None:
    del tokenizer  # its kind makes no difference
    shape = decoder.of_thor(shape)
    described = gemma.keys(shape, "gemma3_text", "Gemma3ForCausalLM")
    local = shape.rope_local_theta or shape.rope_theta
    described |= {
        "rope_parameters": {
            "full_attention": described["rope_parameters"],
            "sliding_attention": {"rope_type": "default", "rope_theta": local},
        },
        "rope_local_base_freq": local,
        "attn_logit_softcapping": None,
        "use_bidirectional_attention": False,
    }
    return decoder.if_read_back(described, shape, _read)


LAYOUT = ModelLayout(("gemma3_text",), _read, _write)

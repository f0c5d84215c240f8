"""``config.json`` of Phi-3: queries, keys and values in one matrix, gate and up in another.

Long contexts by ``longrope`` are refused: transformers chooses its factors by the longest text of a batch, so that what
is cached of a text before it grows does not fit what comes after.
"""

from pathlib import Path
from typing import Literal

from pydantic import JsonValue

from engine.config.model import ModelSettings
from engine.families.family import ModelShape
from engine.huggingface.layouts import decoder
from engine.huggingface.layouts.decoder import DecoderConfig
from engine.huggingface.model_layout import ModelLayout, refuse


class Phi3Config(DecoderConfig):
    """``config.json`` of a Phi-3."""

    model_type: Literal["phi3"]
    rms_norm_eps: float = 1e-5
    partial_rotary_factor: float = 1.0


def _read(text: bytes, file: Path) -> ModelSettings:
    config = Phi3Config.model_validate_json(text)
    kind = config.rope.kind
    refuse(file, config.hidden_act != "silu", f"hidden_act '{config.hidden_act}'")
    refuse(file, kind != "default", f"rope_type '{kind}'")
    own: dict[str, JsonValue] = {
        "window": config.sliding_window or 0,
        "partial_rotary": config.rope.partial_rotary_factor or config.partial_rotary_factor,
        "projections": "fused",
    }
    return decoder.settings(config, file, own)


def _write(shape: ModelShape, tokenizer: str) -> dict[str, JsonValue] | None:
    del tokenizer  # its kind makes no difference
    shape = decoder.of_thor(shape)
    if shape.rope_scaling != "none":
        return None
    described = decoder.keys(shape, "phi3", "Phi3ForCausalLM")
    partial: dict[str, JsonValue] = {"partial_rotary_factor": shape.partial_rotary}
    described |= {
        "original_max_position_embeddings": shape.context,
        "rope_parameters": {"rope_theta": shape.rope_theta, "rope_type": "default", **partial},
        "sliding_window": shape.window or None,
        **partial,
    }
    return decoder.if_read_back(described, shape, _read)


LAYOUT = ModelLayout(("phi3",), _read, _write)

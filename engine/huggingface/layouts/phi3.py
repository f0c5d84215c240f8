"""``config.json`` of Phi-3: queries, keys and values in one matrix, gate and up in another.

With ``longrope`` a model has two sets of factors. transformers chooses between them by the longest text of a batch, so
that what is cached of a text before it grows does not fit what comes after. thord chooses by the model's context, as
vLLM and llama.cpp do by the context that they serve.
"""

from pathlib import Path
from typing import Literal

from pydantic import JsonValue

from engine.config.model import ModelSettings
from engine.families.family import ModelShape
from engine.huggingface.layouts import decoder, rope
from engine.huggingface.layouts.decoder import DecoderConfig
from engine.huggingface.model_layout import ModelLayout, refuse
from engine.section import Length

_LONG = ("longrope", "su")
"""Names of longrope; the second one is older."""


class Phi3Config(DecoderConfig):
    """``config.json`` of a Phi-3."""

    model_type: Literal["phi3"]
    rms_norm_eps: float = 1e-5
    partial_rotary_factor: float = 1.0
    original_max_position_embeddings: Length = 4096  # counts for transformers, whatever rope_parameters say


def _read(text: bytes, file: Path) -> ModelSettings:
    config = Phi3Config.model_validate_json(text)
    turning, kind = config.rope, config.rope.kind
    refuse(file, config.hidden_act != "silu", f"hidden_act '{config.hidden_act}'")
    refuse(file, kind not in ("default", *_LONG), f"rope_type '{kind}'")
    own: dict[str, JsonValue] = {
        "window": config.sliding_window or 0,
        "partial_rotary": config.rope.partial_rotary_factor or config.partial_rotary_factor,
        "projections": "fused",
    }
    if kind in _LONG:
        trained = config.original_max_position_embeddings
        own |= rope.read_longrope(turning, file, config.max_position_embeddings, trained)
        own["rope_theta"] = turning.rope_theta or config.rope_theta
    return decoder.settings(config, file, own)


def _write(shape: ModelShape, tokenizer: str) -> dict[str, JsonValue] | None:
    del tokenizer  # its kind makes no difference
    shape = decoder.of_thor(shape)
    if shape.rope_scaling not in ("none", "longrope"):
        return None
    described = decoder.keys(shape, "phi3", "Phi3ForCausalLM")
    partial: dict[str, JsonValue] = {"partial_rotary_factor": shape.partial_rotary}
    turning = described["rope_parameters"]
    assert isinstance(turning, dict)
    described |= {
        "original_max_position_embeddings": shape.rope_trained or shape.context,
        "rope_parameters": {**turning, **partial},
        "sliding_window": shape.window or None,
        **partial,
    }
    return decoder.if_read_back(described, shape, _read)


LAYOUT = ModelLayout(("phi3",), _read, _write)

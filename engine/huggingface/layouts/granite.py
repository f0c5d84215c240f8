"""``config.json`` of Granite: a Llama that scales embeddings, attention, what its layers add, and logits."""

from pathlib import Path
from typing import Literal

from pydantic import JsonValue

from engine.config.model import ModelSettings
from engine.families.family import ModelShape
from engine.huggingface.layouts import decoder
from engine.huggingface.layouts.decoder import DecoderConfig
from engine.huggingface.model_layout import ModelLayout
from engine.section import Scale


class GraniteConfig(DecoderConfig):
    """``config.json`` of a Granite."""

    model_type: Literal["granite"]
    embedding_multiplier: Scale = 1.0
    attention_multiplier: Scale = 1.0
    residual_multiplier: Scale = 1.0
    logits_scaling: Scale = 1.0


def _read(text: bytes, file: Path) -> ModelSettings:
    config = GraniteConfig.model_validate_json(text)
    decoder.refuse_unusual(config, file)
    own: dict[str, JsonValue] = {
        "embedding_multiplier": config.embedding_multiplier,
        "attention_multiplier": config.attention_multiplier,
        "residual_multiplier": config.residual_multiplier,
        "logits_divisor": config.logits_scaling,
    }
    return decoder.settings(config, file, own)


def _write(shape: ModelShape, tokenizer: str) -> dict[str, JsonValue] | None:
    del tokenizer  # its kind makes no difference
    shape = decoder.of_thor(shape)
    described = decoder.keys(shape, "granite", "GraniteForCausalLM")
    described |= {
        "embedding_multiplier": shape.embedding_multiplier,
        "attention_multiplier": shape.attention_multiplier or shape.width**-0.5,
        "residual_multiplier": shape.residual_multiplier,
        "logits_scaling": shape.logits_divisor,
        "mlp_bias": False,
    }
    return decoder.if_read_back(described, shape, _read)


LAYOUT = ModelLayout(("granite",), _read, _write)

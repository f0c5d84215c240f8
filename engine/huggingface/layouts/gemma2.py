"""``config.json`` of Gemma 2: Gemma's norms and windows, and bounds of attention scores and logits."""

from pathlib import Path
from typing import Literal

from pydantic import JsonValue

from engine.config.model import ModelSettings
from engine.families.family import ModelShape
from engine.huggingface.layouts import decoder, gemma
from engine.huggingface.layouts.gemma import GemmaConfig
from engine.huggingface.model_layout import ModelLayout

_GLOBAL_INTERVAL = 2


class Gemma2Config(GemmaConfig):
    """``config.json`` of a Gemma 2."""

    model_type: Literal["gemma2"]
    attn_logit_softcapping: float | None = 50.0
    final_logit_softcapping: float | None = 30.0


def _read(text: bytes, file: Path) -> ModelSettings:
    config = Gemma2Config.model_validate_json(text)
    own = gemma.read(config, file, _GLOBAL_INTERVAL)
    own["attention_softcap"] = config.attn_logit_softcapping or 0.0
    return decoder.settings(config, file, own)


def _write(shape: ModelShape, tokenizer: str) -> dict[str, JsonValue] | None:
    del tokenizer  # its kind makes no difference
    shape = decoder.of_thor(shape)
    described = gemma.keys(shape, "gemma2", "Gemma2ForCausalLM")
    described["attn_logit_softcapping"] = shape.attention_softcap or None
    return decoder.if_read_back(described, shape, _read)


LAYOUT = ModelLayout(("gemma2",), _read, _write)

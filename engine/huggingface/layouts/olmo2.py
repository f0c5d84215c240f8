"""``config.json`` of OLMo 2: norms behind attention and feed-forward layers, and over all queries and keys together."""

from pathlib import Path
from typing import Literal

from pydantic import JsonValue

from engine.config.model import ModelSettings
from engine.families.family import ModelShape
from engine.huggingface.layouts import decoder
from engine.huggingface.layouts.decoder import DecoderConfig
from engine.huggingface.model_layout import ModelLayout


class Olmo2Config(DecoderConfig):
    """``config.json`` of an OLMo 2."""

    model_type: Literal["olmo2"]
    rms_norm_eps: float = 1e-5


def _read(text: bytes, file: Path) -> ModelSettings:
    config = Olmo2Config.model_validate_json(text)
    decoder.refuse_unusual(config, file)
    own: dict[str, JsonValue] = {"norm_placement": "post", "qk_norm": True, "qk_norm_scope": "projection"}
    return decoder.settings(config, file, own)


def _write(shape: ModelShape, tokenizer: str) -> dict[str, JsonValue] | None:
    del tokenizer  # its kind makes no difference
    shape = decoder.of_thor(shape)
    return decoder.if_read_back(decoder.keys(shape, "olmo2", "Olmo2ForCausalLM"), shape, _read)


LAYOUT = ModelLayout(("olmo2",), _read, _write)

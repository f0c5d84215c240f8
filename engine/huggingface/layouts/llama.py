"""``config.json`` of Llama, Mistral, Qwen2 and Qwen3.

A window makes it a Mistral, norms on queries and keys a Qwen3. A model with biases goes out as Qwen2 where its
tokenizer came from elsewhere. With one of thord's own it goes out as Llama with ``attention_bias``, which has one more
on the output, of zeros: beside the type qwen2 transformers 5 makes any tokenizer Qwen's own, whatever
``tokenizer_class`` says, and gives other ids.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import JsonValue

from engine.config.model import ModelSettings
from engine.families.family import ModelShape
from engine.families.thor import ThorShape
from engine.huggingface.layouts import decoder
from engine.huggingface.layouts.decoder import DecoderConfig
from engine.huggingface.model_layout import ModelLayout, refuse
from engine.model_files import DECODERS
from engine.tokenizers.huggingface import HuggingFaceTokenizer

OUTPUT_BIAS = ".self_attn.o_proj.bias"
"""Of Llama's attention with biases; thord's has none, so that all of it must be zeros."""


class LlamaConfig(DecoderConfig):
    """Llama, Mistral, Qwen2 or Qwen3."""

    model_type: Literal["llama", "mistral", "qwen2", "qwen3"]
    rms_norm_eps: float
    use_sliding_window: bool = False
    max_window_layers: int = 0


def _read(text: bytes, file: Path) -> ModelSettings:
    config = LlamaConfig.model_validate_json(text)
    kind = config.model_type
    decoder.refuse_unusual(config, file, biases=kind in ("llama", "qwen2"))
    own: dict[str, JsonValue] = {
        "window": _window(config, file),
        "qkv_bias": kind == "qwen2" or (kind == "llama" and config.attention_bias),
        "qk_norm": kind == "qwen3",
    }
    return decoder.settings(config, file, own)


def _window(config: LlamaConfig, file: Path) -> int:
    """How far attention looks back: the same in every layer, or it is refused."""
    if config.model_type == "llama" or not config.sliding_window:
        return 0
    if config.model_type == "mistral":
        return config.sliding_window
    if not config.use_sliding_window:
        return 0
    kinds = config.layer_types or [
        "sliding_attention" if layer >= config.max_window_layers else "full_attention"
        for layer in range(config.num_hidden_layers)
    ]
    refuse(file, len(set(kinds)) > 1, "a window in some layers only")
    return config.sliding_window if kinds[0] == "sliding_attention" else 0


def _write(shape: ModelShape, tokenizer: str) -> dict[str, JsonValue] | None:
    shape = decoder.of_thor(shape)
    kind = _kind(shape, tokenizer)
    described = decoder.keys(shape, kind, f"{kind.capitalize()}ForCausalLM")
    described["attention_bias"] = shape.qkv_bias and kind == "llama"
    if kind != "llama":
        described["sliding_window"] = shape.window or None
    if kind in ("qwen2", "qwen3"):
        described["use_sliding_window"] = bool(shape.window)
        described["max_window_layers"] = 0 if shape.window else shape.layers
    return decoder.if_read_back(described, shape, _read)


def _kind(shape: ThorShape, tokenizer: str) -> str:
    if shape.qkv_bias and (shape.window or tokenizer == HuggingFaceTokenizer.kind):
        return "qwen2"
    if shape.qk_norm:
        return "qwen3"
    return "mistral" if shape.window else "llama"


def _zero_biases(described: Mapping[str, JsonValue], shape: ModelShape) -> dict[str, int]:
    if not described.get("attention_bias"):
        return {}
    return {f"model.layers.{layer}{OUTPUT_BIAS}": shape.hidden for layer in range(shape.layers)}


LAYOUT = ModelLayout(DECODERS, _read, _write, _zero_biases)

"""``config.json`` of SmolLM3: a Llama in which every fourth layer has no positions."""

from pathlib import Path
from typing import Literal

from pydantic import JsonValue

from engine.config.model import ModelSettings
from engine.families.family import ModelShape
from engine.huggingface.layouts import decoder
from engine.huggingface.layouts.decoder import DecoderConfig
from engine.huggingface.model_layout import ModelLayout, refuse


class SmolLM3Config(DecoderConfig):
    """``config.json`` of a SmolLM3."""

    model_type: Literal["smollm3"]
    rope_theta: float = 2_000_000.0
    tie_word_embeddings: bool = True
    no_rope_layers: list[int] | None = None
    no_rope_layer_interval: int = 4
    use_sliding_window: bool = False


def _read(text: bytes, file: Path) -> ModelSettings:
    config = SmolLM3Config.model_validate_json(text)
    decoder.refuse_unusual(config, file)
    refuse(file, config.use_sliding_window and bool(config.sliding_window), "a window in layers without positions")
    rotated, interval = config.no_rope_layers, config.no_rope_layer_interval  # a list says 1 where there are positions
    if rotated is not None:
        rotated = rotated[: config.num_hidden_layers]
        found = decoder.interval([not each for each in rotated])
        refuse(file, found is None or len(rotated) < config.num_hidden_layers, "no_rope_layers at no even interval")
        interval = found or 0
    return decoder.settings(config, file, {"nope_interval": interval})


def _write(shape: ModelShape, tokenizer: str) -> dict[str, JsonValue] | None:
    del tokenizer  # its kind makes no difference
    shape = decoder.of_thor(shape)
    described = decoder.keys(shape, "smollm3", "SmolLM3ForCausalLM")
    described |= {
        "no_rope_layers": [int(is_rotated) for is_rotated in shape.rotated],
        "no_rope_layer_interval": shape.nope_interval,
        "use_sliding_window": False,
        "sliding_window": None,
        "layer_types": ["full_attention"] * shape.layers,
        "mlp_bias": False,
    }
    return decoder.if_read_back(described, shape, _read)


LAYOUT = ModelLayout(("smollm3",), _read, _write)

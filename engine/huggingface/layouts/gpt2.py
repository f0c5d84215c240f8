"""``config.json`` of GPT-2, to and from the settings of a ``gpt2``."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, JsonValue

from engine.config.model import ModelSettings
from engine.families.family import ModelShape
from engine.families.gpt2 import Gpt2Shape
from engine.huggingface.model_layout import ModelLayout, refuse
from engine.section import Depth, Length, Width


class Gpt2Config(BaseModel):
    """``config.json`` of a GPT-2."""

    model_config = ConfigDict(extra="ignore")

    model_type: Literal["gpt2"]
    n_positions: Length = 1024
    n_embd: Width
    n_layer: Depth
    n_head: Width
    n_inner: int | None = None
    activation_function: str = "gelu_new"
    layer_norm_epsilon: float = 1e-5
    scale_attn_weights: bool = True
    scale_attn_by_inverse_layer_idx: bool = False
    tie_word_embeddings: bool = True


def _read(text: bytes, file: Path) -> ModelSettings:
    config = Gpt2Config.model_validate_json(text)
    refuse(file, config.n_inner not in (None, 4 * config.n_embd), f"n_inner {config.n_inner}")
    refuse(
        file,
        config.activation_function not in ("gelu_new", "gelu_pytorch_tanh"),
        f"activation_function '{config.activation_function}'",
    )
    refuse(file, not config.scale_attn_weights, "scale_attn_weights false")
    refuse(file, config.scale_attn_by_inverse_layer_idx, "scale_attn_by_inverse_layer_idx")
    refuse(file, not config.tie_word_embeddings, "tie_word_embeddings false")
    return ModelSettings(
        family="gpt2",
        hidden=config.n_embd,
        layers=config.n_layer,
        heads=config.n_head,
        context=config.n_positions,
        norm_epsilon=config.layer_norm_epsilon,
    ).resolved


def _write(shape: ModelShape, tokenizer: str) -> dict[str, JsonValue] | None:
    del tokenizer  # its kind makes no difference
    if not isinstance(shape, Gpt2Shape):
        raise TypeError(f"the shape of a gpt2 is expected, not a {type(shape).__name__}")
    return {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "n_positions": shape.context,
        "n_embd": shape.hidden,
        "n_layer": shape.layers,
        "n_head": shape.heads,
        "activation_function": "gelu_new",
        "layer_norm_epsilon": shape.norm_epsilon,
        "tie_word_embeddings": True,
    }


LAYOUT = ModelLayout(("gpt2",), _read, _write)

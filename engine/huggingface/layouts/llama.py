"""``config.json`` of Llama, Mistral, Qwen2 and Qwen3, to and from the settings of a ``thor``.

A window makes it a Mistral, norms on queries and keys a Qwen3. A model with biases goes out as Qwen2 where its
tokenizer came from elsewhere. With one of thord's own it goes out as Llama with ``attention_bias``, which has one more
on the output, of zeros: beside the type qwen2 transformers 5 makes any tokenizer Qwen's own, whatever
``tokenizer_class`` says, and gives other ids.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, JsonValue

from engine.config.model import ModelSettings
from engine.families.family import ModelShape
from engine.families.thor import RopeScaling, ThorShape
from engine.foreign_model import ForeignModelError
from engine.huggingface.model_layout import ModelLayout, refuse
from engine.model_files import DECODERS
from engine.models import rotary
from engine.section import Depth, Length, Width, WidthOrNone
from engine.tokenizers.huggingface import HuggingFaceTokenizer

_SCALINGS: dict[str, RopeScaling] = {"linear": "linear", "llama3": "llama3", "yarn": "yarn"}
OUTPUT_BIAS = ".self_attn.o_proj.bias"
"""Of Llama's attention with biases; thord's has none, so that all of it must be zeros."""


class Rope(BaseModel):
    """``rope_parameters``, or ``rope_scaling`` as it was called before."""

    model_config = ConfigDict(extra="ignore")

    rope_type: str | None = None
    type: str | None = None
    rope_theta: float | None = None
    factor: float = 1.0
    low_freq_factor: float = rotary.LLAMA3_SLOW
    high_freq_factor: float = rotary.LLAMA3_FAST
    original_max_position_embeddings: int = 0
    partial_rotary_factor: float = 1.0
    beta_fast: float | None = None
    beta_slow: float | None = None
    attention_factor: float | None = None
    mscale: float | None = None
    mscale_all_dim: float | None = None
    truncate: bool = True

    @property
    def kind(self) -> str:
        """Its type, under either key."""
        return self.rope_type or self.type or "default"

    @property
    def has_plain_yarn(self) -> bool:
        """Whether whatever yarn may be given is as in its paper."""
        turns = (self.beta_slow or rotary.YARN_SLOW, self.beta_fast or rotary.YARN_FAST)
        length = rotary.magnitude("yarn", self.factor)
        return (
            turns == (rotary.YARN_SLOW, rotary.YARN_FAST)
            and abs((self.attention_factor or length) - length) < 1e-6
            and self.mscale is None is self.mscale_all_dim
            and self.truncate
        )


class DecoderConfig(BaseModel):
    """Llama, Mistral, Qwen2 or Qwen3."""

    model_config = ConfigDict(extra="ignore")

    model_type: Literal["llama", "mistral", "qwen2", "qwen3"]
    hidden_size: Width
    intermediate_size: Width
    num_hidden_layers: Depth
    num_attention_heads: Width
    num_key_value_heads: WidthOrNone | None = None
    head_dim: WidthOrNone | None = None
    max_position_embeddings: Length
    rms_norm_eps: float
    rope_theta: float = 10_000.0
    rope_scaling: Rope | None = None
    rope_parameters: Rope | None = None
    tie_word_embeddings: bool = False
    hidden_act: str = "silu"
    attention_bias: bool = False
    mlp_bias: bool = False
    sliding_window: int | None = None
    use_sliding_window: bool = False
    max_window_layers: int = 0
    layer_types: list[str] | None = None


def _read(text: bytes, file: Path) -> ModelSettings:
    return _settings(DecoderConfig.model_validate_json(text), file)


def _write(shape: ModelShape, tokenizer: str) -> dict[str, JsonValue]:
    if not isinstance(shape, ThorShape):
        raise TypeError(f"the shape of a thor is expected, not a {type(shape).__name__}")
    return _decoder(shape, _kind(shape, tokenizer))


def _zero_biases(described: Mapping[str, JsonValue], shape: ModelShape) -> dict[str, int]:
    if not described.get("attention_bias"):
        return {}
    return {f"model.layers.{layer}{OUTPUT_BIAS}": shape.hidden for layer in range(shape.layers)}


def _settings(config: DecoderConfig, file: Path) -> ModelSettings:
    rope = config.rope_parameters or config.rope_scaling or Rope()
    kind = rope.kind
    biased = config.attention_bias and config.model_type == "llama"
    refuse(file, config.hidden_act != "silu", f"hidden_act '{config.hidden_act}'")
    refuse(file, config.attention_bias and config.model_type not in ("llama", "qwen2"), "attention_bias")
    refuse(file, config.mlp_bias, "mlp_bias")
    refuse(file, kind not in ("default", *_SCALINGS), f"rope_type '{kind}'")
    refuse(file, kind == "yarn" and not rope.has_plain_yarn, "yarn with other factors than those of its paper")
    refuse(file, rope.partial_rotary_factor != 1.0, "partial_rotary_factor")
    turns = (rope.low_freq_factor, rope.high_freq_factor)
    refuse(
        file,
        kind == "llama3" and turns != (rotary.LLAMA3_SLOW, rotary.LLAMA3_FAST),
        f"low_freq_factor and high_freq_factor {turns}",
    )
    return ModelSettings(
        family="thor",
        hidden=config.hidden_size,
        layers=config.num_hidden_layers,
        heads=config.num_attention_heads,
        kv_heads=config.num_key_value_heads or config.num_attention_heads,
        head_width=config.head_dim or config.hidden_size // config.num_attention_heads,
        feed_forward=config.intermediate_size,
        context=config.max_position_embeddings,
        window=_window(config, file),
        rope_theta=rope.rope_theta or config.rope_theta,
        rope_scaling=_SCALINGS.get(kind, "none"),
        rope_factor=rope.factor,
        rope_trained=rope.original_max_position_embeddings or config.max_position_embeddings,
        norm_epsilon=config.rms_norm_eps,
        tied=config.tie_word_embeddings,
        qkv_bias=biased or config.model_type == "qwen2",
        qk_norm=config.model_type == "qwen3",
    ).resolved


def _window(config: DecoderConfig, file: Path) -> int:
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


def _kind(shape: ThorShape, tokenizer: str) -> str:
    if shape.qkv_bias and shape.qk_norm:
        raise ForeignModelError("no known layout has both qkv_bias and qk_norm")
    if shape.qkv_bias and (shape.window or tokenizer == HuggingFaceTokenizer.kind):
        return "qwen2"
    if shape.qk_norm:
        return "qwen3"
    return "mistral" if shape.window else "llama"


def _decoder(shape: ThorShape, kind: str) -> dict[str, JsonValue]:
    windowed: dict[str, JsonValue] = {"sliding_window": shape.window or None}
    if kind in ("qwen2", "qwen3"):
        windowed |= {"use_sliding_window": bool(shape.window), "max_window_layers": 0 if shape.window else shape.layers}
    return {
        "architectures": [f"{kind.capitalize()}ForCausalLM"],
        "model_type": kind,
        "hidden_size": shape.hidden,
        "intermediate_size": shape.feed_forward,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.width,
        "hidden_act": "silu",
        "max_position_embeddings": shape.context,
        "rms_norm_eps": shape.norm_epsilon,
        "attention_bias": shape.qkv_bias and kind == "llama",
        "tie_word_embeddings": shape.tied,
        **(windowed if kind != "llama" else {}),
        **_rope(shape),
    }


def _rope(shape: ThorShape) -> dict[str, JsonValue]:
    """In today's words, and in those of readers before transformers 5."""
    theta = shape.rope_theta
    if shape.rope_scaling == "ntk":
        theta = rotary.stretched_theta(shape.width, theta, shape.rope_factor)
    scaling: dict[str, JsonValue] | None = None
    if shape.rope_scaling == "linear":
        scaling = {"rope_type": "linear", "factor": shape.rope_factor}
    elif shape.rope_scaling == "yarn":
        scaling = {
            "rope_type": "yarn",
            "factor": shape.rope_factor,
            "original_max_position_embeddings": shape.rope_trained,
        }
    elif shape.rope_scaling == "llama3":
        scaling = {
            "rope_type": "llama3",
            "factor": shape.rope_factor,
            "low_freq_factor": rotary.LLAMA3_SLOW,
            "high_freq_factor": rotary.LLAMA3_FAST,
            "original_max_position_embeddings": shape.rope_trained,
        }
    parameters: dict[str, JsonValue] = {"rope_theta": theta, **(scaling or {"rope_type": "default"})}
    return {"rope_theta": theta, "rope_scaling": scaling, "rope_parameters": parameters}


LAYOUT = ModelLayout(DECODERS, _read, _write, _zero_biases)

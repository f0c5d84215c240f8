"""What the layouts of all decoders like Llama have in common."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, JsonValue

from engine.config.model import ModelSettings
from engine.families.family import ModelShape
from engine.families.thor import ThorShape
from engine.foreign_model import ForeignModelError
from engine.huggingface.layouts import rope
from engine.huggingface.layouts.rope import Rope
from engine.huggingface.model_layout import refuse
from engine.section import Depth, Length, Width, WidthOrNone

_ROPE = frozenset({"rope_theta", "rope_scaling", "rope_factor", "rope_trained"})
"""Every layout that reads scaled positions can say them, in its own way."""


class DecoderConfig(BaseModel):
    """``config.json`` of such a decoder. What a layout does not name has these defaults in transformers."""

    model_config = ConfigDict(extra="ignore")

    hidden_size: Width
    intermediate_size: Width
    num_hidden_layers: Depth
    num_attention_heads: Width
    num_key_value_heads: WidthOrNone | None = None
    head_dim: WidthOrNone | None = None
    max_position_embeddings: Length
    rms_norm_eps: float = 1e-6
    rope_theta: float = 10_000.0
    rope_scaling: Rope | None = None
    rope_parameters: Rope | None = None
    tie_word_embeddings: bool = False
    hidden_act: str = "silu"
    attention_bias: bool = False
    mlp_bias: bool = False
    sliding_window: int | None = None
    layer_types: list[str] | None = None

    @property
    def rope(self) -> Rope:
        """What it says of positions, under either key."""
        return self.rope_parameters or self.rope_scaling or Rope()


def refuse_unusual(config: DecoderConfig, file: Path, *, biases: bool = False) -> None:
    """Name what no layout but a few has: another activation, biases, partial rotation.

    Raises:
        ForeignModelError: it has one; ``biases`` of attention are the caller's to look at.
    """
    refuse(file, config.hidden_act != "silu", f"hidden_act '{config.hidden_act}'")
    refuse(file, config.attention_bias and not biases, "attention_bias")
    refuse(file, config.mlp_bias, "mlp_bias")
    refuse(file, config.rope.partial_rotary_factor not in (None, 1.0), "partial_rotary_factor")


def settings(config: DecoderConfig, file: Path, own: Mapping[str, JsonValue]) -> ModelSettings:
    """The settings of a decoder; ``own`` has what its layout adds, or says otherwise.

    Raises:
        ForeignModelError: positions turn in a way that thord does not have.
        ValidationError: sizes do not go together.
    """
    turning = (
        {} if "rope_theta" in own else rope.read(config.rope, file, config.max_position_embeddings, config.rope_theta)
    )
    usual: dict[str, JsonValue] = {
        "family": "thor",
        "hidden": config.hidden_size,
        "layers": config.num_hidden_layers,
        "heads": config.num_attention_heads,
        "kv_heads": config.num_key_value_heads or config.num_attention_heads,
        "head_width": config.head_dim or config.hidden_size // config.num_attention_heads,
        "feed_forward": config.intermediate_size,
        "context": config.max_position_embeddings,
        "norm_epsilon": config.rms_norm_eps,
        "tied": config.tie_word_embeddings,
    }
    return ModelSettings.model_validate({**usual, **turning, **own}).resolved


def keys(shape: ThorShape, model_type: str, architecture: str) -> dict[str, JsonValue]:
    """The keys that all of them have."""
    return {
        "architectures": [architecture],
        "model_type": model_type,
        "hidden_size": shape.hidden,
        "intermediate_size": shape.feed_forward,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.width,
        "hidden_act": "silu",
        "max_position_embeddings": shape.context,
        "rms_norm_eps": shape.norm_epsilon,
        "attention_bias": False,
        "tie_word_embeddings": shape.tied,
        **rope.write(shape),
    }


def of_thor(shape: ModelShape) -> ThorShape:
    """The shape as that of a thor.

    Raises:
        TypeError: it is another family's.
    """
    if not isinstance(shape, ThorShape):
        raise TypeError(f"the shape of a thor is expected, not a {type(shape).__name__}")
    return shape


def if_read_back(
    described: dict[str, JsonValue], shape: ThorShape, read: Callable[[bytes, Path], ModelSettings]
) -> dict[str, JsonValue] | None:
    """What a layout wrote, where it reads it as the same shape; else null: the layout lacks something."""
    try:
        again = of_thor(read(json.dumps(described).encode(), Path(str(described["model_type"]))).shape)
    except ForeignModelError:
        return None
    return described if _comparable(again) == _comparable(shape) else None


def interval(marks: list[bool]) -> int | None:
    """At which interval marks stand: every n-th layer has one. 0: none has; null: at no even interval."""
    every = marks.index(True) + 1 if True in marks else 0
    return every if marks == [every > 0 and number % every == 0 for number in range(1, len(marks) + 1)] else None


def _comparable(shape: ThorShape) -> dict[str, JsonValue]:
    unsaid = {"head_width": shape.width, "attention_multiplier": shape.attention_multiplier or shape.width**-0.5}
    return shape.model_dump(mode="json", exclude=set(_ROPE)) | unsaid

"""What decides the weights of each model family, and the sizes that have names."""

from typing import Literal

from pydantic import model_validator

from engine.config.section import Depth, Length, LengthOrNone, Rounds, Scale, Section, Width, WidthOrNone

Family = Literal["thor", "gpt2", "char_lstm", "agiformer"]
RopeScaling = Literal["none", "linear", "ntk", "llama3", "yarn"]


class ThorShape(Section):
    """What decides the weights of a ``thor`` decoder, and what they compute."""

    hidden: Width
    layers: Depth
    heads: Width
    kv_heads: Width
    feed_forward: Width
    head_width: WidthOrNone = 0
    context: Length = 3072
    window: LengthOrNone = 0
    rope_theta: Scale = 10_000.0
    rope_scaling: RopeScaling = "none"
    rope_factor: Scale = 1.0
    rope_trained: LengthOrNone = 0
    norm_epsilon: Scale = 1e-5
    tied: bool = True
    qkv_bias: bool = False
    qk_norm: bool = False

    @property
    def width(self) -> int:
        """Width of one head."""
        return self.head_width or self.hidden // self.heads

    @model_validator(mode="after")
    def _is_possible(self) -> "ThorShape":
        if not self.head_width:
            _check_heads(self.hidden, self.heads)
        if self.heads % self.kv_heads:
            raise ValueError(f"heads ({self.heads}) must be a multiple of kv_heads ({self.kv_heads})")
        if self.width % 2:
            raise ValueError(f"the width of a head ({self.width}) must be even for rotary positions")
        if self.rope_scaling in ("llama3", "yarn") and not self.rope_trained:
            raise ValueError(f"rope_scaling '{self.rope_scaling}' needs rope_trained, the context before it was scaled")
        return self


class Gpt2Shape(Section):
    """What decides the weights of a ``gpt2`` decoder; inside the feed-forward part it is four times as wide."""

    hidden: Width
    layers: Depth
    heads: Width
    context: Length = 1024
    norm_epsilon: Scale = 1e-5

    @model_validator(mode="after")
    def _is_possible(self) -> "Gpt2Shape":
        _check_heads(self.hidden, self.heads)
        return self


class CharLstmShape(Section):
    """What decides the weights of a ``char_lstm``; tied, the embedding is the head too."""

    hidden: Width
    layers: Depth
    context: Length = 2048
    tied: bool = True


class AgiformerShape(Section):
    """What decides the weights of an ``agiformer``. ``context`` counts bytes, ``window`` patches of four."""

    hidden: Width
    layers: Depth
    heads: Width
    feed_forward: Width
    context: Length = 4096
    window: Length = 128
    thinking_steps: Rounds = 3
    rope_theta: Scale = 10_000.0
    norm_epsilon: Scale = 1e-5

    @model_validator(mode="after")
    def _is_possible(self) -> "AgiformerShape":
        _check_heads(self.hidden, self.heads)
        if (self.hidden // self.heads) % 2:
            raise ValueError(f"hidden / heads ({self.hidden // self.heads}) must be even for rotary positions")
        return self


def _check_heads(hidden: int, heads: int) -> None:
    if hidden % heads:
        raise ValueError(f"hidden ({hidden}) must be a multiple of heads ({heads})")


Shape = ThorShape | Gpt2Shape | CharLstmShape | AgiformerShape

PRESETS: dict[Family, dict[str, Shape]] = {
    "thor": {
        "tiny": ThorShape(hidden=192, layers=4, heads=6, kv_heads=3, feed_forward=512, context=512),
        "small": ThorShape(hidden=384, layers=6, heads=6, kv_heads=2, feed_forward=1024, context=1024),
        "base": ThorShape(hidden=768, layers=6, heads=12, kv_heads=4, feed_forward=2048),
        "large": ThorShape(hidden=1024, layers=8, heads=16, kv_heads=4, feed_forward=2816),
        "xl": ThorShape(hidden=1280, layers=10, heads=20, kv_heads=4, feed_forward=3456),
        "800m": ThorShape(hidden=1536, layers=28, heads=24, kv_heads=8, feed_forward=4608),
        "atlas-1.1b": ThorShape(
            hidden=2048, layers=22, heads=32, kv_heads=4, feed_forward=5632, context=2048, tied=False
        ),
        "1.5b": ThorShape(hidden=2048, layers=28, heads=16, kv_heads=8, feed_forward=6400),
    },
    "gpt2": {
        "tiny": Gpt2Shape(hidden=192, layers=4, heads=6, context=512),
        "small": Gpt2Shape(hidden=384, layers=6, heads=6),
        "124m": Gpt2Shape(hidden=768, layers=12, heads=12),
        "355m": Gpt2Shape(hidden=1024, layers=24, heads=16),
        "774m": Gpt2Shape(hidden=1280, layers=36, heads=20),
    },
    "char_lstm": {
        "tiny": CharLstmShape(hidden=256, layers=1, context=512),
        "small": CharLstmShape(hidden=512, layers=2),
        "large": CharLstmShape(hidden=1024, layers=3),
    },
    "agiformer": {
        "tiny": AgiformerShape(hidden=192, layers=2, heads=6, feed_forward=512, context=1024),
        "base": AgiformerShape(hidden=512, layers=6, heads=8, feed_forward=1408),
    },
}
"""Named sizes. The true parameter count depends on the vocabulary too and is printed, never quoted."""

DEFAULT_PRESETS: dict[Family, str] = {"thor": "base", "gpt2": "124m", "char_lstm": "small", "agiformer": "base"}
SHAPE_KEYS = frozenset(name for sizes in PRESETS.values() for shape in sizes.values() for name in shape.__dict__)
"""Keys of ``[model]`` that replace single values of a preset; each family knows some of them."""

"""The ``thor`` family: a Llama-like decoder. Its network is `engine.models.thor`."""

from collections.abc import Mapping
from typing import Literal

from pydantic import model_validator

from engine.families.family import Family, ModelShape, check_heads
from engine.section import Length, LengthOrNone, Scale, Width, WidthOrNone

RopeScaling = Literal["none", "linear", "ntk", "llama3", "yarn"]


class ThorShape(ModelShape):
    """What decides the weights of a ``thor`` decoder, and what they compute."""

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

    def operations(self, matrices: Mapping[str, float], length: int) -> float:
        """Those of the matrices, and those of attention, causal or not."""
        span = min(length, self.window or length)
        return super().operations(matrices, length) + 12.0 * self.layers * self.width * self.heads * span

    @model_validator(mode="after")
    def _is_possible(self) -> "ThorShape":
        if not self.head_width:
            check_heads(self.hidden, self.heads)
        if self.heads % self.kv_heads:
            raise ValueError(f"heads ({self.heads}) must be a multiple of kv_heads ({self.kv_heads})")
        if self.width % 2:
            raise ValueError(f"the width of a head ({self.width}) must be even for rotary positions")
        if self.rope_scaling in ("llama3", "yarn") and not self.rope_trained:
            raise ValueError(f"rope_scaling '{self.rope_scaling}' needs rope_trained, the context before it was scaled")
        return self


THOR = Family(
    network="engine.models.thor:Thor",
    presets={
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
    default="base",
    blocks=r"model\.layers\.\d+",
    embeddings=frozenset({"model.embed_tokens.weight", "lm_head.weight"}),
    heads=("lm_head.weight", "model.embed_tokens.weight"),
    kernel="engine.inference.native.thor:THOR",
    layout="engine.huggingface.layouts.llama:LAYOUT",
)

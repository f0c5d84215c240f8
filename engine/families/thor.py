"""The ``thor`` family: a Llama-like decoder. Its network is `engine.models.thor`.

What other public decoders have beside Llama are settings of its shape: where norms stand and of which kind, which
layers have a window or no positions, how scores and residuals are scaled.
"""

from collections.abc import Mapping
from typing import Literal

from pydantic import JsonValue, model_validator

from engine.families.family import Family, ModelShape, check_heads
from engine.section import Factors, Length, LengthOrNone, Period, Scale, ScaleOrNone, Width, WidthOrNone

RopeScaling = Literal["none", "linear", "ntk", "llama3", "yarn", "longrope"]
NormKind = Literal["rms", "rms_offset", "layer"]
NormPlacement = Literal["pre", "post", "sandwich"]
QkNormScope = Literal["head", "projection"]
Mlp = Literal["swiglu", "geglu", "gelu", "gelu_tanh"]
Projections = Literal["separate", "fused", "fused_by_head"]


class ThorShape(ModelShape):
    """What decides the weights of a ``thor`` decoder, and what they compute. `ModelSettings` describes each key."""

    heads: Width
    kv_heads: Width
    feed_forward: Width
    head_width: WidthOrNone = 0
    context: Length = 3072
    window: LengthOrNone = 0
    global_interval: Period = 0
    rope_theta: Scale = 10_000.0
    rope_local_theta: ScaleOrNone = 0.0
    rope_scaling: RopeScaling = "none"
    rope_factor: Scale = 1.0
    rope_trained: LengthOrNone = 0
    rope_short: Factors = ()
    rope_long: Factors = ()
    partial_rotary: Scale = 1.0
    nope_interval: Period = 0
    norm_kind: NormKind = "rms"
    norm_placement: NormPlacement = "pre"
    norm_epsilon: Scale = 1e-5
    tied: bool = True
    qkv_bias: bool = False
    linear_bias: bool = False
    qk_norm: bool = False
    qk_norm_scope: QkNormScope = "head"
    projections: Projections = "separate"
    mlp: Mlp = "swiglu"
    parallel_residual: bool = False
    attention_multiplier: ScaleOrNone = 0.0
    attention_softcap: ScaleOrNone = 0.0
    embedding_multiplier: Scale = 1.0
    residual_multiplier: Scale = 1.0
    logits_divisor: Scale = 1.0
    logits_softcap: ScaleOrNone = 0.0

    @property
    def width(self) -> int:
        """Width of one head."""
        return self.head_width or self.hidden // self.heads

    @property
    def rotary_width(self) -> int:
        """How many values of a head are rotated, from the first on."""
        return int(self.width * self.partial_rotary)

    @property
    def rope_divisors(self) -> Factors:
        """What longrope divides frequencies by: the same at every position, so that what is cached stays valid."""
        return self.rope_long if self.context > self.rope_trained else self.rope_short

    @property
    def windows(self) -> list[int]:
        """How far each layer looks back; 0: to the beginning."""
        return [0 if _is_nth(layer, self.global_interval) else self.window for layer in range(self.layers)]

    @property
    def rotated(self) -> list[bool]:
        """Which layers have rotary positions."""
        return [not _is_nth(layer, self.nope_interval) for layer in range(self.layers)]

    @property
    def beyond_llama(self) -> dict[str, JsonValue]:
        """What it has that Llama, Mistral, Qwen2 and Qwen3 have not, by key."""
        plain = {key: field.default for key, field in type(self).model_fields.items() if key not in _OF_LLAMA}
        return self.model_dump(mode="json", include={key for key in plain if getattr(self, key) != plain[key]})

    def operations(self, matrices: Mapping[str, float], length: int) -> float:
        """Those of the matrices, and those of attention, causal or not."""
        spans = sum(min(length, window or length) for window in self.windows)
        return super().operations(matrices, length) + 12.0 * self.width * self.heads * spans

    @model_validator(mode="after")
    def _is_possible(self) -> "ThorShape":
        if not self.head_width:
            check_heads(self.hidden, self.heads)
        if self.heads % self.kv_heads:
            raise ValueError(f"heads ({self.heads}) must be a multiple of kv_heads ({self.kv_heads})")
        if self.projections == "fused_by_head" and self.heads != self.kv_heads:
            raise ValueError(f"projections 'fused_by_head' needs as many kv_heads as heads ({self.heads})")
        if self.partial_rotary > 1.0:
            raise ValueError(f"partial_rotary ({self.partial_rotary}) is a share, and at most 1")
        if self.rotary_width % 2 or not self.rotary_width:
            raise ValueError(
                f"of a head {self.rotary_width} values are rotated; for rotary positions that must be even, and not 0"
            )
        if self.rope_scaling in ("llama3", "yarn", "longrope") and not self.rope_trained:
            raise ValueError(f"rope_scaling '{self.rope_scaling}' needs rope_trained, the context before it was scaled")
        for key, factors in (("rope_short", self.rope_short), ("rope_long", self.rope_long)):
            if self.rope_scaling == "longrope" and len(factors) != self.rotary_width // 2:
                raise ValueError(
                    f"{key} has {len(factors)} factors; rope_scaling 'longrope' needs {self.rotary_width // 2}, one "
                    "for each pair of a head's values that turns"
                )
        if self.parallel_residual and self.norm_placement != "pre":
            raise ValueError("parallel_residual needs norm_placement 'pre'")
        return self


_OF_LLAMA = frozenset(
    {
        "hidden", "layers", "heads", "kv_heads", "feed_forward", "head_width", "context", "window", "rope_theta",
        "rope_scaling", "rope_factor", "rope_trained", "norm_epsilon", "tied", "qkv_bias", "qk_norm",
    }
)  # fmt: skip


def _is_nth(layer: int, interval: int) -> bool:
    return interval > 0 and (layer + 1) % interval == 0


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
    layouts=(
        "engine.huggingface.layouts.llama:LAYOUT",
        "engine.huggingface.layouts.gemma3:LAYOUT",
        "engine.huggingface.layouts.phi3:LAYOUT",
        "engine.huggingface.layouts.smollm3:LAYOUT",
        "engine.huggingface.layouts.granite:LAYOUT",
        "engine.huggingface.layouts.olmo2:LAYOUT",
        "engine.huggingface.layouts.gemma2:LAYOUT",
        "engine.huggingface.layouts.gpt_neox:LAYOUT",
    ),
)

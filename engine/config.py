"""Settings of models, tokenizers, training, evaluation, gate and inference. Plain data: torch is not imported here."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Positive = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]


class Section(BaseModel):
    """One table of ``thord.toml``: unknown keys are errors, values do not change once loaded."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class ThorShape(Section):
    """What decides the parameters of a ``thor`` decoder."""

    hidden: Positive
    layers: Positive
    heads: Positive
    kv_heads: Positive
    feed_forward: Positive
    context: Positive = 3072

    @model_validator(mode="after")
    def _heads_divide(self) -> "ThorShape":
        if self.hidden % self.heads:
            raise ValueError(f"hidden ({self.hidden}) must be a multiple of heads ({self.heads})")
        if self.heads % self.kv_heads:
            raise ValueError(f"heads ({self.heads}) must be a multiple of kv_heads ({self.kv_heads})")
        if (self.hidden // self.heads) % 2:
            raise ValueError(f"hidden / heads ({self.hidden // self.heads}) must be even for rotary positions")
        return self


PRESETS: dict[str, ThorShape] = {
    "tiny": ThorShape(hidden=192, layers=4, heads=6, kv_heads=3, feed_forward=512, context=512),
    "base": ThorShape(hidden=768, layers=6, heads=12, kv_heads=4, feed_forward=2048),
    "large": ThorShape(hidden=1024, layers=8, heads=16, kv_heads=4, feed_forward=2816),
    "xl": ThorShape(hidden=1280, layers=10, heads=20, kv_heads=4, feed_forward=3456),
    "800m": ThorShape(hidden=1536, layers=28, heads=24, kv_heads=8, feed_forward=4096),
    "1.5b": ThorShape(hidden=2048, layers=28, heads=16, kv_heads=8, feed_forward=6144),
}
"""Named sizes. The true parameter count depends on the vocabulary too and is printed, never quoted."""


class ModelSettings(Section):
    """``[model]``: the family, its size, and single values that differ from the preset."""

    family: Literal["thor"] = "thor"
    preset: Literal["tiny", "base", "large", "xl", "800m", "1.5b"] = "base"
    hidden: Positive | None = None
    layers: Positive | None = None
    heads: Positive | None = None
    kv_heads: Positive | None = None
    feed_forward: Positive | None = None
    context: Positive | None = None
    rope_theta: Annotated[float, Field(gt=0)] = 10_000.0
    norm_epsilon: Annotated[float, Field(gt=0)] = 1e-5
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0

    @property
    def shape(self) -> ThorShape:
        """The preset with this table's own values in place of its."""
        own = {name: getattr(self, name) for name in ThorShape.model_fields if getattr(self, name) is not None}
        return ThorShape.model_validate({**PRESETS[self.preset].model_dump(), **own})

    @model_validator(mode="after")
    def _shape_is_possible(self) -> "ModelSettings":
        _ = self.shape
        return self


class TokenizerSettings(Section):
    """``[tokenizer]``: trained on the first data, fixed from then on."""

    kind: Literal["bpe"] = "bpe"
    vocabulary: Annotated[int, Field(ge=300, le=262_144)] = 8192
    sample_megabytes: Positive = 64


class TrainingSettings(Section):
    """``[training]``: one run of the loop."""

    device: Device = "auto"
    precision: Precision = "auto"
    epochs: Annotated[float, Field(gt=0)] = 3.0
    max_steps: Positive | None = None
    batch_size: Positive = 8
    accumulation: Positive = 1
    length: Positive = 512
    learning_rate: Annotated[float, Field(gt=0)] = 3e-4
    schedule: Literal["constant", "linear", "cosine"] = "cosine"
    warmup_share: Share = 0.03
    final_share: Share = 0.1
    weight_decay: Annotated[float, Field(ge=0)] = 0.1
    beta1: Annotated[float, Field(ge=0, lt=1)] = 0.9
    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.95
    clip: Annotated[float, Field(gt=0)] = 1.0
    seed: int = 0
    threads: Annotated[int, Field(ge=0)] = 0
    log_every: Positive = 10
    validate_every: Positive = 50
    checkpoint_every: Positive = 50
    keep_checkpoints: Annotated[int, Field(ge=2)] = 2
    early_stopping_patience: Annotated[int, Field(ge=0)] = 5
    max_bad_steps: Positive = 5
    validation_share: Share = 0.05


class EvaluationSettings(Section):
    """``[evaluation]``: what a version is judged on."""

    max_conversations: Positive = 200
    length: Positive = 512
    batch_size: Positive = 8
    sample_prompts: tuple[str, ...] = ()
    sample_tokens: Positive = 48


class GateSettings(Section):
    """``[gate]``: what a candidate must show to be promoted. Fails closed."""

    confidence: Annotated[float, Field(gt=0.5, lt=1.0)] = 0.95
    draws: Positive = 10_000
    min_conversations: Positive = 5
    min_improvement: Annotated[float, Field(ge=0)] = 0.0
    tolerance: Annotated[float, Field(ge=0)] = 0.02


class InferenceSettings(Section):
    """``[inference]``: the engine that answers."""

    device: Device = "auto"
    precision: Precision = "auto"
    max_batch: Positive = 16
    max_queue: Positive = 256
    max_tokens: Positive = 256
    drain_seconds: Annotated[float, Field(gt=0)] = 120.0
    threads: Annotated[int, Field(ge=0)] = 0

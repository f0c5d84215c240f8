"""``[model]``: which model a thord trains."""

from pydantic import Field, model_validator

from engine.families.family import ModelShape
from engine.families.table import FAMILIES, FamilyName
from engine.families.thor import Mlp, NormKind, NormPlacement, Projections, QkNormScope, RopeScaling
from engine.section import (
    Depth,
    Factors,
    Length,
    LengthOrNone,
    Period,
    Rounds,
    ScaleOrNone,
    Section,
    Width,
    WidthOrNone,
)

_SIZES = "; ".join(f"{family}: {', '.join(facts.presets)}" for family, facts in FAMILIES.items())

SHAPE_KEYS = frozenset(key for facts in FAMILIES.values() for shape in facts.presets.values() for key in shape.__dict__)
"""Keys of ``[model]`` that replace single values of a preset; each family knows some of them."""


class ModelSettings(Section):
    """``[model]``: the family, its size, and individual values that differ from the preset."""

    family: FamilyName = Field("thor", description=f"The model family. ({', '.join(FAMILIES)})")
    preset: str | None = Field(
        None,
        examples=["base"],
        description=f"A named size; the keys below override parts of it, if the family supports them. {_SIZES}.",
    )
    hidden: Width | None = Field(None, examples=[512], description="Width of the residual stream.")
    layers: Depth | None = Field(None, examples=[8], description="Number of blocks.")
    heads: Width | None = Field(None, examples=[8], description="Query heads.")
    kv_heads: Width | None = Field(
        None, examples=[4], description="Key and value heads; the number of query heads must be a multiple of it."
    )
    head_width: WidthOrNone | None = Field(
        None, examples=[64], description="Width of one head; 0 means hidden / heads."
    )
    feed_forward: Width | None = Field(None, examples=[1408], description="Width of the feed-forward layers.")
    context: Length | None = Field(None, examples=[2048], description="Maximum length of a sequence, in tokens.")
    window: LengthOrNone | None = Field(
        None,
        examples=[1024],
        description="Attention window, including the current position, in tokens (agiformer: in patches); 0 means "
        "unlimited.",
    )
    global_interval: Period | None = Field(
        None,
        examples=[6],
        description="Every layer whose number is a multiple of it looks back without a window, as in Gemma; 0: none.",
    )
    rope_theta: float | None = Field(
        None, examples=[10_000.0], gt=0, description="Base of the rotary position embedding."
    )
    rope_local_theta: ScaleOrNone | None = Field(
        None,
        examples=[10_000.0],
        description="Base of the rotary position embedding, unscaled, in layers with a window, as in Gemma 3; 0 means "
        "that they are like the others.",
    )
    rope_scaling: RopeScaling | None = Field(
        None, examples=["linear"], description="How rotary positions are scaled beyond the trained length."
    )
    rope_factor: float | None = Field(None, examples=[4.0], gt=0, description="Factor by which they are scaled.")
    rope_trained: LengthOrNone | None = Field(
        None,
        examples=[3072],
        description="Length the model was originally trained on; required by all but linear and ntk.",
    )
    rope_short: Factors | None = Field(
        None,
        examples=[[1.0, 1.5]],
        description="With longrope, what the frequency of each pair is divided by where context is at most "
        "rope_trained.",
    )
    rope_long: Factors | None = Field(
        None, examples=[[1.0, 4.0]], description="The same where context is longer than that, as in Phi-3."
    )
    partial_rotary: float | None = Field(
        None, examples=[0.25], gt=0, le=1, description="Share of each head's values that rotary positions turn."
    )
    nope_interval: Period | None = Field(
        None,
        examples=[4],
        description="Every layer whose number is a multiple of it has no positions, as in SmolLM3; 0: none.",
    )
    norm_kind: NormKind | None = Field(
        None,
        examples=["rms"],
        description="RMSNorm, RMSNorm whose weights are offsets from 1 as in Gemma, or LayerNorm with biases.",
    )
    norm_placement: NormPlacement | None = Field(
        None,
        examples=["pre"],
        description="Whether norms stand before attention and feed-forward layers, after them as in OLMo 2, or both as "
        "in Gemma 2.",
    )
    norm_epsilon: float | None = Field(
        None, examples=[1e-5], gt=0, description="Epsilon added under the square root of each norm."
    )
    tied: bool | None = Field(
        None, examples=[True], description="Whether the output head shares the embedding's weights."
    )
    qkv_bias: bool | None = Field(
        None, examples=[False], description="Whether queries, keys and values have biases, as in Qwen2."
    )
    qk_norm: bool | None = Field(
        None, examples=[False], description="Whether queries and keys are normalized, as in Qwen3."
    )
    linear_bias: bool | None = Field(
        None, examples=[False], description="Whether every linear map in the blocks has a bias, as in GPT-NeoX."
    )
    qk_norm_scope: QkNormScope | None = Field(
        None,
        examples=["head"],
        description="What qk_norm normalizes: each head by itself, or all of them together as in OLMo 2.",
    )
    projections: Projections | None = Field(
        None,
        examples=["separate"],
        description="Whether queries, keys and values, and gate and up, are one matrix as in Phi-3, or queries, keys "
        "and values of each head side by side as in GPT-NeoX.",
    )
    mlp: Mlp | None = Field(
        None,
        examples=["swiglu"],
        description="Feed-forward layers: gated by SiLU or by GELU (tanh), or ungated with GELU, exact or by tanh.",
    )
    parallel_residual: bool | None = Field(
        None, examples=[False], description="Whether attention and feed-forward layers read the same input, as in NeoX."
    )
    attention_multiplier: ScaleOrNone | None = Field(
        None,
        examples=[0.0625],
        description="What attention scores are multiplied by; 0 means one over the root of a head's width.",
    )
    attention_softcap: ScaleOrNone | None = Field(
        None, examples=[50.0], description="Bound of attention scores, by tanh, as in Gemma 2; 0: none."
    )
    embedding_multiplier: float | None = Field(
        None, examples=[12.0], gt=0, description="What embeddings are multiplied by."
    )
    residual_multiplier: float | None = Field(
        None, examples=[0.22], gt=0, description="What each layer's output is multiplied by before it is added."
    )
    logits_divisor: float | None = Field(None, examples=[8.0], gt=0, description="What logits are divided by.")
    logits_softcap: ScaleOrNone | None = Field(
        None, examples=[30.0], description="Bound of logits, by tanh, as in Gemma 2; 0: none."
    )
    thinking_steps: Rounds | None = Field(
        None, examples=[3], description="Rounds of the refinement block; 0 turns it off."
    )
    dropout: float = Field(0.0, ge=0.0, lt=1.0, description="Dropout probability during training.")

    @property
    def shape(self) -> ModelShape:
        """The preset with this table's own values in place of its."""
        family = FAMILIES[self.family]
        preset = family.presets[self.preset or family.default]
        own = self.model_dump(include=set(SHAPE_KEYS), exclude_none=True)
        return type(preset).model_validate({**preset.model_dump(), **own})

    @property
    def resolved(self) -> "ModelSettings":
        """The same with every value of the shape written out, so that it does not change with a preset."""
        return self.model_copy(update=self.shape.model_dump())

    @model_validator(mode="after")
    def _is_possible(self) -> "ModelSettings":
        sizes = FAMILIES[self.family].presets
        if self.preset is not None and self.preset not in sizes:
            raise ValueError(f"family '{self.family}' has no preset '{self.preset}'; it has {', '.join(sizes)}")
        known = type(next(iter(sizes.values()))).model_fields.keys()
        strange = self.model_dump(include=set(SHAPE_KEYS), exclude_none=True).keys() - known
        if strange:
            names = ", ".join(sorted(strange))
            raise ValueError(f"family '{self.family}' does not know {names}; it knows {', '.join(known)}, dropout")
        _ = self.shape
        return self

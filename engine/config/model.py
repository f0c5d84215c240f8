"""``[model]``: which model a thord trains."""

from pydantic import Field, model_validator

from engine.families.family import ModelShape
from engine.families.table import FAMILIES, FamilyName
from engine.families.thor import RopeScaling
from engine.section import Depth, Length, LengthOrNone, Rounds, Section, Width, WidthOrNone

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
    rope_theta: float | None = Field(
        None, examples=[10_000.0], gt=0, description="Base of the rotary position embedding."
    )
    rope_scaling: RopeScaling | None = Field(
        None, examples=["linear"], description="How rotary positions are scaled beyond the trained length."
    )
    rope_factor: float | None = Field(None, examples=[4.0], gt=0, description="Factor by which they are scaled.")
    rope_trained: LengthOrNone | None = Field(
        None, examples=[3072], description="Length the model was originally trained on; required by llama3 and yarn."
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

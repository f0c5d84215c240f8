"""What every table of settings stands on: the base class, and the bounds of sizes."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

MOST_LAYERS, MOST_WIDE, MOST_TOKENS, MOST_ROWS = 1 << 10, 1 << 20, 1 << 30, 1 << 20
"""Far beyond any model and any step there is: what cannot be meant is refused before anything is made of it."""
Depth = Annotated[int, Field(gt=0, le=MOST_LAYERS)]
Width = Annotated[int, Field(gt=0, le=MOST_WIDE)]
Length = Annotated[int, Field(gt=0, le=MOST_TOKENS)]
Rounds = Annotated[int, Field(ge=0, le=MOST_LAYERS)]
Vocabulary = Annotated[int, Field(gt=0, le=1 << 24)]
WidthOrNone = Annotated[int, Field(ge=0, le=MOST_WIDE)]
LengthOrNone = Annotated[int, Field(ge=0, le=MOST_TOKENS)]
Scale = Annotated[float, Field(gt=0.0)]
Factors = Annotated[tuple[Scale, ...], Field(max_length=MOST_WIDE, strict=False)]
ScaleOrNone = Annotated[float, Field(ge=0.0)]
Period = Annotated[int, Field(ge=0, le=MOST_LAYERS)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Section(BaseModel):
    """One table of ``thord.toml``: unknown keys are errors, values do not change once loaded."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

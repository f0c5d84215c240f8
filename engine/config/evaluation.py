"""``[evaluation]`` and ``[gate]``: what a version is measured on, and what it must show to be promoted."""

from pydantic import Field

from engine.section import Section


class EvaluationSettings(Section):
    """``[evaluation]``: what a version is judged on."""

    max_conversations: int = Field(
        200, gt=0, description="Held-out conversations judged on, in the order of their hash."
    )
    sequence_length: int = Field(512, gt=0, description="Tokens seen at once.")
    batch_size: int = Field(8, gt=0, description="Rows at once.")
    sample_prompts: tuple[str, ...] = Field(
        (), description="Prompts answered by every version; empty takes some of the held-out ones."
    )
    sample_tokens: int = Field(48, gt=0, description="Length of a sample answer.")


class GateSettings(Section):
    """``[gate]``: what a candidate must show to be promoted. Fails closed."""

    confidence: float = Field(0.95, gt=0.5, lt=1.0, description="Confidence that a candidate is better.")
    bootstrap_resamples: int = Field(10_000, gt=0, description="Draws of the paired bootstrap.")
    min_conversations: int = Field(
        5, gt=0, description="Held-out conversations without which a cycle is skipped, and nothing is promoted."
    )
    min_improvement: float = Field(0.0, ge=0, description="Bits per byte by which a candidate must be better.")
    tolerance: float = Field(0.02, ge=0, description="Bits per byte by which a guarded slice may be worse.")

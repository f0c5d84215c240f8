"""``[evaluation]`` and ``[gate]``: what a version is measured on, and what it must show to be promoted."""

from pydantic import Field

from engine.section import Section


class EvaluationSettings(Section):
    """``[evaluation]``: how versions are evaluated."""

    max_conversations: int = Field(
        200, gt=0, description="Maximum number of held-out conversations to evaluate on, in the order of their hash."
    )
    sequence_length: int = Field(512, gt=0, description="Tokens per sequence.")
    batch_size: int = Field(8, gt=0, description="Sequences per batch.")
    sample_prompts: tuple[str, ...] = Field(
        (), description="Prompts that every version answers; empty uses some of the held-out ones."
    )
    sample_tokens: int = Field(48, gt=0, description="Length of a sample answer, in tokens.")


class GateSettings(Section):
    """``[gate]``: what a candidate must show to be promoted. If in doubt, the gate rejects."""

    confidence: float = Field(0.95, gt=0.5, lt=1.0, description="Required confidence that a candidate is better.")
    bootstrap_resamples: int = Field(10_000, gt=0, description="Number of resamples in the paired bootstrap.")
    min_conversations: int = Field(
        5,
        gt=0,
        description="Minimum number of held-out conversations; with fewer, the cycle is skipped and nothing is "
        "promoted.",
    )
    min_improvement: float = Field(
        0.0005, ge=0, description="Bits per byte by which a candidate must improve; rounding alone changes less."
    )
    epoch_cycles: int = Field(
        48, gt=0, description="Number of cycles that are judged on the same held-out conversations; then others follow."
    )
    anchor_every: int = Field(
        10,
        gt=0,
        description="Promotions between anchor tests: on sealed conversations, against the best audited version.",
    )
    anchor_tolerance: float = Field(
        0.005, ge=0, description="Bits per byte by which an anchor test may be lost before thord goes back."
    )
    tolerance: float = Field(0.02, ge=0, description="Bits per byte by which a guarded slice may get worse.")

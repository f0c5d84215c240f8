"""``[evaluation]`` and ``[gate]``: what a version is measured on, and what it must show to be promoted."""

import re
from typing import Literal

from pydantic import Field, field_validator

from engine.section import Section

TEXT_MEASURES = (
    "bleu",
    "chrf",
    "chrf++",
    "ter",
    "rouge1",
    "rouge2",
    "rougeL",
    "rougeLsum",
    "distinct1",
    "distinct2",
    "repetition",
    "squad_exact_match",
    "squad_f1",
    "squad2_exact_match",
    "squad2_f1",
)
"""What answers can be measured by; `engine.evaluation.predictions.registry` computes them."""
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class SuiteSettings(Section):
    """``[evaluation.suites.NAME]``: a set that every version is measured on, by a name of your own."""

    path: str = Field(
        examples=["/srv/exam.jsonl"],
        description="File or folder of conversations, or of rows with a label each, as an absolute path.",
    )
    measures: tuple[str, ...] = Field(
        (),
        description="Measures of answers, such as chrf, rougeL or squad_f1: the model answers each dialogue, which "
        "takes longer. Without any, only the likelihood is measured.",
    )
    max_samples: int = Field(200, gt=0, description="Maximum number of samples to measure, in the order of their hash.")
    answer_tokens: int = Field(64, gt=0, description="Length of an answer, in tokens.")
    tolerance: float | None = Field(
        None,
        examples=[0.02],
        ge=0,
        description="By how much a candidate may be worse here and still be promoted: in bits per byte, or in accuracy "
        "where rows are labelled. Unset: the suite is measured, and decides nothing.",
    )

    @field_validator("path")
    @classmethod
    def _path_is_absolute(cls, value: str) -> str:
        if not value.startswith(("/", "~")) or "\0" in value:
            raise ValueError(f"{value!r} is not an absolute path")
        return value

    @field_validator("measures")
    @classmethod
    def _measures_exist(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if name not in TEXT_MEASURES:
                raise ValueError(f"there is no measure of answers '{name}'; there are {', '.join(TEXT_MEASURES)}")
        return value


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
    suites: dict[str, SuiteSettings] = Field({}, description="Sets that every version is measured on, by name.")
    suites_every_minutes: float = Field(
        60.0, gt=0, description="Minutes between measurements of the version in service on the suites."
    )

    @field_validator("suites")
    @classmethod
    def _names_are_plain(cls, value: dict[str, SuiteSettings]) -> dict[str, SuiteSettings]:
        for name in value:
            if not _NAME.fullmatch(name):
                raise ValueError(f"'{name}' cannot be the name of a suite: use letters, digits, - and _")
        return value


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
    max_forgetting: float = Field(
        0.05,
        ge=0,
        description="Bits per byte by which a candidate may be worse on what was held out before its cycle.",
    )
    max_tokens_per_second_loss: float | None = Field(
        None,
        examples=[0.2],
        ge=0,
        lt=1,
        description="Share of the tokens per second of the version in service that a candidate may lose.",
    )
    max_first_token_seconds: float | None = Field(
        None, examples=[0.5], gt=0, description="Longest time that a candidate may take to its first token."
    )
    max_memory_megabytes: int | None = Field(
        None, examples=[4096], gt=0, description="Most memory that a candidate may take to answer, in MiB."
    )
    mode: Literal["promote", "shadow"] = Field(
        "promote",
        description="What follows when a candidate passes: it is promoted, or it is only reported and left to you.",
    )

"""``[jobs]``: work that clients ask for, beside cycles."""

from pydantic import Field

from engine.section import Section


class JobSettings(Section):
    """``[jobs]``: runs, evaluations, tokenizers, imports, and answers that are computed in the background."""

    run_here: bool = Field(
        True,
        description="Whether this host does training jobs itself; other hosts may do so as well. It always does the "
        "other kinds.",
    )
    queue: str = Field("trainer", min_length=1, max_length=128, description="Queue of jobs that name none.")
    max_unfinished: int = Field(
        10_000, gt=0, le=1_000_000, description="Maximum number of jobs that have not ended; more are refused (503)."
    )
    retries: int = Field(1, ge=0, le=1000, description="Number of times to try a job again after a failure.")
    retry_interval_seconds: float = Field(
        300.0, ge=0, le=31_536_000, description="Time between a failure and the next attempt."
    )
    time_limit_seconds: float = Field(86_400.0, gt=0, le=31_536_000, description="Maximum duration of an attempt.")
    result_ttl_seconds: float = Field(
        86_400.0,
        ge=0,
        le=3_153_600_000,
        description="How long to keep a completed job and its result; runs and tokenizers keep their record.",
    )
    failure_ttl_seconds: float = Field(
        604_800.0, ge=0, le=3_153_600_000, description="How long to keep a job that failed or was cancelled."
    )
    lease_seconds: float = Field(
        60.0, gt=0, le=86_400, description="Give up an attempt on another host after this long without a sign of life."
    )
    turn_minutes: float = Field(
        60.0,
        gt=0,
        le=525_600,
        description="While a cycle waits for the trainer, pause a training job after this long; it continues after "
        "the cycle.",
    )
    cycle_priority: int = Field(
        0, ge=-1_000_000, le=1_000_000, description="Priority of cycles among jobs; the higher goes first."
    )

"""The tables of ``thord.toml``. Tables that belong to the engine are defined in `engine.config`."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from engine.config import (
    EvaluationSettings,
    GateSettings,
    InferenceSettings,
    ModelSettings,
    Positive,
    Section,
    Share,
    TokenizerSettings,
    TrainingSettings,
)

Seconds = Annotated[float, Field(gt=0)]


class PathSettings(Section):
    """``[paths]``: folders watched besides the inbox."""

    watch: tuple[str, ...] = ()


class DataSettings(Section):
    """``[data]``: what a cycle learns from."""

    min_conversations: Positive = 10
    max_conversations_per_cycle: Positive = 100
    held_out_share: Annotated[float, Field(gt=0.0, lt=0.9)] = 0.1
    replay_share: Annotated[float, Field(ge=0.0, lt=0.95)] = 0.2
    max_tries: Positive = 3
    max_file_megabytes: Positive = 2048
    max_record_megabytes: Positive = 8
    settle_seconds: Seconds = 1.0


class ScheduleSettings(Section):
    """``[schedule]``: when a cycle starts. ``cron`` takes the place of the interval."""

    enabled: bool = True
    interval_minutes: Annotated[float, Field(gt=0)] = 30.0
    cron: str | None = None
    after_new_conversations: Annotated[int, Field(ge=0)] = 0


class ApiSettings(Section):
    """``[api]``: the public HTTP API."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8000
    keys_file: str | None = None
    max_body_megabytes: Positive = 8
    request_timeout_seconds: Seconds = 600.0


class MonitoringSettings(Section):
    """``[monitoring]``: figures of host, GPU and runs."""

    interval_seconds: Annotated[float, Field(ge=1.0)] = 30.0


class SupervisionSettings(Section):
    """``[supervision]``: how workers are kept alive, and how they are stopped."""

    boot_timeout_seconds: Seconds = 180.0
    heartbeat_timeout_seconds: Seconds = 30.0
    stall_timeout_seconds: Seconds = 900.0
    stop_grace_seconds: Seconds = 30.0
    max_restarts: Positive = 5
    max_seconds: Seconds = 60.0
    backoff_cap_seconds: Seconds = 30.0
    max_attempts: Positive = 3
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_megabytes: Positive = 16
    log_copies: Annotated[int, Field(ge=1)] = 5


class Tables(Section):
    """All of ``thord.toml``."""

    profile: str | None = None
    paths: PathSettings = PathSettings()
    data: DataSettings = DataSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    model: ModelSettings = ModelSettings()
    tokenizer: TokenizerSettings = TokenizerSettings()
    training: TrainingSettings = TrainingSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    gate: GateSettings = GateSettings()
    inference: InferenceSettings = InferenceSettings()
    api: ApiSettings = ApiSettings()
    monitoring: MonitoringSettings = MonitoringSettings()
    supervision: SupervisionSettings = SupervisionSettings()

    @model_validator(mode="after")
    def _combinations(self) -> "Tables":
        if self.data.min_conversations > self.data.max_conversations_per_cycle:
            raise ValueError(
                f"data.min_conversations ({self.data.min_conversations}) is larger than "
                f"data.max_conversations_per_cycle ({self.data.max_conversations_per_cycle}): no cycle could ever run"
            )
        if self.training.length > self.model.shape.context:
            raise ValueError(
                f"training.length ({self.training.length}) is larger than the context of the model "
                f"({self.model.shape.context}): lower training.length or raise model.context"
            )
        return self


__all__ = ["ApiSettings", "DataSettings", "Share", "Tables"]

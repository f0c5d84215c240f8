"""The events that other programs get: what is in each, as models. ``docs/events/`` has their JSON Schemas.

They are the seven types of Model Trainer, with the fields that its documentation and its bots' decoder
(`platform_core.job_events`, `platform_core.trainer_metrics_events`) know. New fields may be added to a type;
``v1`` becomes ``v2`` only where one goes or means something else.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Finite = Annotated[float, Field(allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]


class TrainerEvent(BaseModel):
    """What every event has."""

    model_config = ConfigDict(frozen=True)

    id: str = Field(description="The same event has the same id, also where it arrives twice.")
    at: str = Field(description="When it happened: ISO 8601, in UTC.")
    job_id: str = Field(description="The run: its run_id, or `cycle-NNNNNN` for a cycle.")
    user_id: int = Field(0, description="The user that the run was asked for by; 0 where none was named.")

    def to_json(self) -> str:
        """One line of JSON, without fields that are not known."""
        return self.model_dump_json(exclude_none=True)


class JobEvent(TrainerEvent):
    """What the events of a job's life have."""

    domain: Literal["trainer"] = "trainer"
    queue: str = Field(description="The queue that the run was taken from.")


class JobStarted(JobEvent):
    """A run has begun."""

    type: Literal["trainer.job.started.v1"] = "trainer.job.started.v1"


class JobProgress(JobEvent):
    """A run got further."""

    type: Literal["trainer.job.progress.v1"] = "trainer.job.progress.v1"
    progress: int = Field(ge=0, le=100, description="How far it is, in percent.")
    message: str = Field(description="What it does, for people.")


class JobCompleted(JobEvent):
    """A run has come to its end."""

    type: Literal["trainer.job.completed.v1"] = "trainer.job.completed.v1"
    progress: Literal[100] = 100
    message: str | None = Field(None, description="What came of it, for people.")
    result_id: str = Field(description="The version it published; empty where it published none.")
    result_bytes: Count = Field(description="Size of its files.")


class JobFailed(JobEvent):
    """A run failed or was cancelled."""

    type: Literal["trainer.job.failed.v1"] = "trainer.job.failed.v1"
    error_kind: Literal["user", "system"] = Field(description="`user`: it was cancelled, or asked for wrongly.")
    message: str = Field(description="Why, for people.")


class MetricsConfig(TrainerEvent):
    """How a run is carried out, decided when it began."""

    type: Literal["trainer.metrics.config.v1"] = "trainer.metrics.config.v1"
    queue: str
    model_family: str
    model_size: str = Field(description="Number of parameters, such as `135M`; the family's name where not known.")
    total_epochs: int = Field(ge=1)
    batch_size: Count | None = Field(None, description="Rows in a step.")
    learning_rate: Finite | None = None
    cpu_cores: Count | None = Field(None, description="Threads it computes with.")


class MetricsProgress(TrainerEvent):
    """Figures of a training step."""

    type: Literal["trainer.metrics.progress.v1"] = "trainer.metrics.progress.v1"
    epoch: int = Field(ge=1)
    total_epochs: int = Field(ge=1)
    step: Count
    loss: Finite = Field(description="Nats per supervised token.")
    perplexity: Finite
    samples_per_sec: Finite
    train_loss: Finite = Field(description="As `loss`.")
    train_ppl: Finite = Field(description="As `perplexity`.")
    grad_norm: Finite
    val_loss: Finite | None = Field(None, description="Of the last validation.")
    val_ppl: Finite | None = None


class MetricsCompleted(TrainerEvent):
    """Final figures of a run."""

    type: Literal["trainer.metrics.completed.v1"] = "trainer.metrics.completed.v1"
    loss: Finite = Field(description="Training loss at its end.")
    perplexity: Finite
    test_loss: Finite | None = Field(
        None, description="On what was held out; where nothing was, on the validation set."
    )
    test_ppl: Finite | None = None
    artifact_path: str = Field(description="Folder of the version it published.")


EVENTS: tuple[type[TrainerEvent], ...] = (
    JobStarted,
    JobProgress,
    JobCompleted,
    JobFailed,
    MetricsConfig,
    MetricsProgress,
    MetricsCompleted,
)


def type_of(event: type[TrainerEvent] | TrainerEvent) -> str:
    """The value of its field ``type``."""
    kind = event if isinstance(event, type) else type(event)
    return str(kind.model_fields["type"].default)

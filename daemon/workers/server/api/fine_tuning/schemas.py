"""The body of ``POST /v1/fine_tuning/jobs``."""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field, JsonValue, model_validator

from daemon.workers.server.api.fields import Rules
from daemon.workers.server.api.fine_tuning.fields import HYPERPARAMETERS, JOB
from daemon.workers.server.api.request_body import RequestBody
from daemon.workers.server.api.schemas import Finite, Metadata

Auto = Literal["auto"]
MOST_ROWS = 65_536


class Hyperparameters(RequestBody):
    """How a run learns; ``auto`` leaves it to thord, as does what is left out."""

    rules: ClassVar[Rules] = HYPERPARAMETERS

    n_epochs: Auto | Annotated[int, Field(ge=1, le=10_000)] | None = Field(
        None, description="How often the training file is learned."
    )
    batch_size: Auto | Annotated[int, Field(ge=1, le=MOST_ROWS)] | None = Field(
        None, description="Rows in a step. A row holds several short samples, or one long one."
    )
    learning_rate_multiplier: Auto | Annotated[Finite, Field(gt=0, le=1000)] | None = Field(
        None, description="Factor on the learning rate that thord would choose."
    )


class DpoHyperparameters(Hyperparameters):
    """Those of preferences."""

    beta: Auto | Annotated[Finite, Field(gt=0, le=2)] | None = None


class Supervised(RequestBody):
    """Learning from dialogues and texts."""

    hyperparameters: Hyperparameters | None = None

    def parts(self) -> Iterator[tuple[str, RequestBody]]:
        """The objects in it, each with its place."""
        if self.hyperparameters is not None:
            yield "hyperparameters", self.hyperparameters


class Dpo(RequestBody):
    """Learning from preferences."""

    hyperparameters: DpoHyperparameters | None = None

    def parts(self) -> Iterator[tuple[str, RequestBody]]:
        """The objects in it, each with its place."""
        if self.hyperparameters is not None:
            yield "hyperparameters", self.hyperparameters


class Method(RequestBody):
    """What is learned, and how."""

    type: Literal["supervised", "dpo", "reinforcement"]
    supervised: Supervised | None = None
    dpo: Dpo | None = None
    reinforcement: JsonValue = None

    def parts(self) -> Iterator[tuple[str, RequestBody]]:
        """The objects in it, each with its place."""
        for name, part in (("supervised", self.supervised), ("dpo", self.dpo)):
            if part is not None:
                yield name, part

    @model_validator(mode="after")
    def _says_one_thing(self) -> "Method":
        given = {"supervised": self.supervised, "dpo": self.dpo, "reinforcement": self.reinforcement}
        for name, part in given.items():
            if part is not None and name != self.type:
                raise ValueError(f"{name}: the type is {self.type}")
        return self


class WandbIntegration(RequestBody):
    """A project of Weights & Biases."""

    project: str
    entity: str | None = None
    name: str | None = None
    tags: list[str] | None = None


class Integration(RequestBody):
    """Where else figures go."""

    type: str
    wandb: WandbIntegration | None = None


class FineTuningBody(RequestBody):
    """The body of ``/v1/fine_tuning/jobs``."""

    rules: ClassVar[Rules] = JOB

    model: str = Field(description="thor, or thor@000012 to go on from that version.")
    training_file: str
    validation_file: str | None = None
    hyperparameters: Hyperparameters | None = Field(None, description="Deprecated: use method.")
    method: Method | None = None
    seed: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    suffix: Annotated[str, Field(min_length=1, max_length=64)] | None = Field(
        None, description="How the run is called; thord adds to it where another run is called so."
    )
    metadata: Metadata | None = None
    integrations: Annotated[list[Integration], Field(max_length=5)] | None = None
    promote: Literal["never", "gate"] = Field(
        "never", description="gate: put the result into service if it is better than what serves. Not in OpenAI's API."
    )

    def parts(self) -> Iterator[tuple[str, RequestBody]]:
        """The objects in it, each with its place."""
        for name, part in (("hyperparameters", self.hyperparameters), ("method", self.method)):
            if part is not None:
                yield name, part

    @property
    def kind(self) -> Literal["supervised", "dpo", "reinforcement"]:
        """The type of the method."""
        return "supervised" if self.method is None else self.method.type

    @property
    def chosen(self) -> Hyperparameters:
        """The hyperparameters of the method."""
        if self.method is None:
            return self.hyperparameters or Hyperparameters()
        part = self.method.dpo if self.method.type == "dpo" else self.method.supervised
        return (part and part.hyperparameters) or self.hyperparameters or Hyperparameters()

    @model_validator(mode="after")
    def _sets_hyperparameters_once(self) -> "FineTuningBody":
        if self.hyperparameters is not None and self.chosen is not self.hyperparameters:
            raise ValueError("hyperparameters: they are in method already")
        return self

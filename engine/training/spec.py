"""What a run is asked to do, where it reads and writes, and what it decided: ``run.json``."""

from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from engine.config.model import ModelSettings
from engine.config.tasks import TaskSettings
from engine.config.tokenizer import TokenizerSettings
from engine.config.training import Method, TrainingSettings
from engine.device import ImpossiblePlacementError, Placement
from engine.training.recipe import Recipe
from engine.variation import Variation


class RunSpec(BaseModel):
    """What is asked of a run. ``settings`` holds all tables, for the manifest; those that decide are fields too."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cycle: int | None
    """Null: the run belongs to a job."""
    job: int | None = None
    version: int
    base: int | None
    model: ModelSettings
    tokenizer: TokenizerSettings
    training: TrainingSettings
    settings: dict[str, JsonValue]
    tasks: dict[str, TaskSettings] = Field({})
    """Those of the settings; ready-made ones are always there."""
    variation: Variation = Variation()


class RunRecord(BaseModel):
    """``run.json``: what is asked of a run, and what was decided where it began. A resumed run keeps to it."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    spec: RunSpec = Field(alias="plan")
    snapshot_sha256: str
    text_bytes: int = 0
    device: str
    dtype: str
    threads: int
    method: Method = "full"
    recipe: Recipe | None = None
    """Decided once the data is counted."""

    @property
    def placement(self) -> Placement:
        """Where and in what the run computes.

        Raises:
            ImpossiblePlacementError: it began on a GPU, and there is none any more.
        """
        if self.device == "cuda" and not torch.cuda.is_available():
            raise ImpossiblePlacementError("this run began on a GPU, and torch finds no usable one here any more")
        dtypes = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
        return Placement(torch.device(self.device), dtypes[self.dtype])


@dataclass(frozen=True)
class RunPaths:
    """What a run reads and writes. ``base`` is the version it goes on from, null for an initial training."""

    folder: Path
    snapshot: Path
    base: Path | None
    target: Path

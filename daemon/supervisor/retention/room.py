"""What a run that does not fit on the disk is refused with, and the settings that say how much it takes."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from daemon.supervisor.store.records import Cycle
from engine import artifacts
from engine.adapters import method
from engine.artifacts import ArtifactError
from engine.config.model import ModelSettings
from engine.config.training import TrainingSettings
from engine.manifest import ADAPTER, read_manifest

_BYTES = 4
"""Of a number in an adapter, which is in float32."""


class _Outline(BaseModel):
    """What is needed of a version's ``config.json``."""

    model_config = ConfigDict(extra="ignore")

    model: ModelSettings


def training_of(cycle: Cycle, training: TrainingSettings) -> TrainingSettings:
    """The settings of one cycle's run; those of everyone where what was asked for is wrong, which the trainer says."""
    try:
        return TrainingSettings.model_validate(training.model_dump() | cycle.request.overrides)
    except ValidationError:
        return training


def trained_parameters(folder: Path, parameters: int, training: TrainingSettings) -> int:
    """How many numbers a run changes that goes on from the version in ``folder``: all ``parameters``, or an adapter's.

    Of a new adapter an upper bound: a map from K to N has K N weights and, in an adapter of rank r, r (K + N).
    """
    try:
        manifest = read_manifest(folder)
        if method.resolved(training, manifest) == "full":
            return parameters
        if manifest.base is not None:
            return manifest.files[ADAPTER].size // _BYTES
        hidden = artifacts.read_json(folder / "config.json", _Outline).model.shape.hidden
    except ArtifactError:
        return parameters
    return min(parameters, 4 * training.lora.rank * parameters // hidden)


def refusal(needed: int, free: int, folder: Path) -> str:
    """Why a run does not begin, and what to do."""
    return (
        f"the run does not fit on the disk: it needs at least {needed / 1e9:.1f} GB, and {folder} has "
        f"{free / 1e9:.1f} GB free after thord removed all it may ('thorctl clean --dry-run --json' lists what it "
        "keeps, and why); free some space, or set training.checkpoint_folder to a folder on another disk"
    )

"""How much of the disk a run takes: a pure function of the model's size and the settings."""

from pathlib import Path

from pydantic import ValidationError

from daemon.supervisor.store.records import Cycle
from engine.config.training import TrainingSettings

_WEIGHTS = 4
_CHECKPOINT = {"adamw": 12, "muon": 8, "adamw8bit": 6}
"""Bytes of each parameter: in a version, and in a checkpoint, which holds the state of the optimizer too. Embeddings
take more with the last two, so theirs are lower bounds."""
_AT_ONCE = 2
"""Checkpoints: the last one goes only after the next is written."""


def most_bytes(parameters: int, training: TrainingSettings) -> int:
    """What a run takes when it keeps all the checkpoints it may, with the version that it publishes."""
    return _bytes(parameters, training, training.keep_checkpoints + 1)


def least_bytes(parameters: int, training: TrainingSettings) -> int:
    """What no run of more than one checkpoint can do without."""
    return _bytes(parameters, training, _AT_ONCE)


def training_of(cycle: Cycle, training: TrainingSettings) -> TrainingSettings:
    """The settings of one cycle's run; those of everyone where what was asked for is wrong, which the trainer says."""
    try:
        return TrainingSettings.model_validate(training.model_dump() | cycle.request.overrides)
    except ValidationError:
        return training


def refusal(needed: int, free: int, folder: Path) -> str:
    """Why a run does not begin, and what to do."""
    return (
        f"the run does not fit on the disk: it needs at least {needed / 1e9:.1f} GB, and {folder} has "
        f"{free / 1e9:.1f} GB free after thord removed all it may ('thorctl clean --dry-run --json' lists what it "
        "keeps, and why); free some space, or set training.checkpoint_folder to a folder on another disk"
    )


def _bytes(parameters: int, training: TrainingSettings, checkpoints: int) -> int:
    """Checkpoints in a folder that somebody chose are taken to lie on another disk."""
    here = 0 if training.checkpoint_folder else checkpoints * _CHECKPOINT[training.optimizer]
    return parameters * (_WEIGHTS + here)

"""What a run that does not fit on the disk is refused with, and the settings that say how much it takes."""

from pathlib import Path

from pydantic import ValidationError

from daemon.supervisor.store.records import Cycle
from engine.config.training import TrainingSettings


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

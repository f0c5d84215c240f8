"""How much of the disk a run takes: a pure function of the model's size and the settings. Torch is not needed."""

import shutil
from pathlib import Path

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


def check(parameters: int, training: TrainingSettings, folder: Path) -> None:
    """Return if a run that has written nothing yet fits on the disk of its ``folder``.

    Raises:
        OSError: it does not fit; the message says what to do.
    """
    needed, free = least_bytes(parameters, training), shutil.disk_usage(folder).free
    if needed > free:
        raise OSError(
            f"the run does not fit on the disk: a model of {parameters:,} parameters needs at least "
            f"{needed / 1e9:.2f} GB, and {folder} has {free / 1e9:.2f} GB free; free some space, set "
            "training.checkpoint_folder to a folder on another disk, or train a smaller model (model.preset)"
        )


def _bytes(parameters: int, training: TrainingSettings, checkpoints: int) -> int:
    """Checkpoints in a folder that somebody chose are taken to lie on another disk."""
    here = 0 if training.checkpoint_folder else checkpoints * _CHECKPOINT[training.optimizer]
    return parameters * (_WEIGHTS + here)

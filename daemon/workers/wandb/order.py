"""What a follower is told when it starts: the one line of its standard input."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict


class Order(BaseModel):
    """Which run to follow, and how to name it.

    Attributes:
        folder: of the run; what wandb writes goes to ``wandb/`` in it.
        name: how the run is called at Weights & Biases.
        log: the file that the follower's log goes to.
        finish_seconds: how long it may take to pass on what is left once the run is over.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    folder: Path
    project: str
    mode: Literal["online", "offline"]
    name: str
    log: Path
    finish_seconds: float

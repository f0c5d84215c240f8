"""What the supervisor tells a worker before there is a channel: one variable in its environment."""

import os
import sys
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from control.paths import Paths
from daemon.messages import WorkerName

VARIABLE = "THORD_ASSIGNMENT"


class Assignment(BaseModel):
    """Who the worker is, whose child, with which one-time token, and where everything lies."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    worker: WorkerName
    token: str
    supervisor: int
    config: Path
    state: Path
    logs: Path
    run: Path
    api_descriptors: tuple[int, ...] = ()
    """Listening sockets of the public API, inherited."""
    channel: Path | None = None
    """The socket to say hello at, where it is not the supervisor's: a rank's is its trainer's."""
    lifeline: int | None = None
    """Reading end of a pipe from the supervisor, inherited. The kernel kills this worker's process group when the other
    end closes, so nothing needs to be done with it. None: whoever started this worker did not tie it like that."""

    @property
    def paths(self) -> Paths:
        """The places of this thord."""
        return Paths(config=self.config, state=self.state, logs=self.logs, run=self.run)


def take() -> Assignment:
    """Read this worker's assignment and remove it from the environment: the token is for one use.

    Ends the process with status 2 where there is none.
    """
    text = os.environ.pop(VARIABLE, None)
    if text is None:
        sys.exit("thord: workers are started by thord, not by hand; start the service with 'thorctl start'")
    try:
        return Assignment.model_validate_json(text)
    except ValidationError as error:
        sys.exit(f"thord: {VARIABLE} is damaged: {error}")

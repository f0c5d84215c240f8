"""What a host and thord say to each other about an attempt, over HTTP."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

HostState = Literal["completed", "failed", "cancelled", "stopped"]
"""How an attempt ended on a host; ``stopped``: the host goes down, and another one goes on."""


LOG = "log"
"""In place of a path: what the attempt has logged."""


class _Said(BaseModel):
    model_config = ConfigDict(frozen=True)


class FileOnDisk(_Said):
    """A file; ``path`` is relative to the state folder of thord, and to that of the host."""

    path: str
    size: int
    sha256: str


class Claimed(_Said):
    """An attempt that was given to a host.

    Attributes:
        command: what its trainer is told, a `daemon.messages.Train`.
        settings: the settings of thord, as its own trainer reads them.
        tokenizer: folder of a tokenizer that was made before, relative to the state folder; null: the run has its own.
        run: folder of the run, relative to the state folder. What the host writes there goes back to thord.
        version: folder of the version that comes of it, likewise.
        lease_seconds: after this long without a beat the attempt is given to somebody else.
    """

    job: int
    attempt: int
    run_id: str | None
    command: dict[str, JsonValue]
    settings: dict[str, JsonValue]
    tokenizer: str | None = None
    run: str
    version: str
    lease_seconds: float


class Delivery(_Said):
    """Files of the run that were put into ``incoming/``, to take the place of those that are there.

    Attributes:
        checkpoints: names of the checkpoints that the host has; others are old.
    """

    attempt: int
    files: tuple[FileOnDisk, ...]
    checkpoints: tuple[str, ...]


class Finished(_Said):
    """How an attempt ended; with ``files`` of the version where it is completed, which are in ``incoming/``."""

    attempt: int
    state: HostState
    cause: str = Field(max_length=64)
    error: str | None = None
    retry: bool = False
    progress: dict[str, JsonValue] | None = None
    files: tuple[FileOnDisk, ...] = ()


def incoming(job: int, attempt: int) -> str:
    """The folder for what an attempt sends, relative to the state folder."""
    return f"incoming/{job:06d}-{attempt}"

"""The life of a worker: hello, ready, signs of life, new settings, the health of the service, the end."""

from typing import Literal

from pydantic import JsonValue

from daemon.messages.base import Message, WorkerName

# Worker to supervisor ------------------------------------------------------------------------------------------------


class Hello(Message):
    """The first line a worker sends, with the one-time token from its environment."""

    kind: Literal["hello"] = "hello"
    protocol: int
    worker: WorkerName
    pid: int
    token: str


class Ready(Message):
    """The worker can do its work."""

    kind: Literal["ready"] = "ready"


class Beat(Message):
    """A sign of life from a thread of its own; ``progress`` grows with real work, ``activity`` says which."""

    kind: Literal["beat"] = "beat"
    progress: int
    activity: str = ""
    busy: bool = False
    """Work is under way, so progress is expected to move."""


class HostFigures(Message):
    """What the monitor measured, for ``status``."""

    kind: Literal["host_figures"] = "host_figures"
    figures: dict[str, JsonValue]


# Supervisor to worker ------------------------------------------------------------------------------------------------


class Stop(Message):
    """Finish within ``grace_seconds``: drain, checkpoint, exit 0."""

    kind: Literal["stop"] = "stop"
    grace_seconds: float


class Reload(Message):
    """The settings file was written anew: read it and apply what can change live."""

    kind: Literal["reload"] = "reload"


class ServiceHealth(Message):
    """Server: how the whole service is, for ``/readyz`` and the metrics. Sent whenever it changes."""

    kind: Literal["service_health"] = "service_health"
    state: Literal["starting", "ready", "degraded", "stopping"]
    reasons: tuple[str, ...] = ()

"""What every message on the channel has in common, and the limits that both ends agree on."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

PROTOCOL = 2
"""Raised whenever a message changes its meaning; both sides must agree."""

MAX_LINE = 1 << 20
"""Bytes of the longest message. A longer one ends the connection."""

UNASKED = 0
"""``to`` of an answer that no command asked for: the server says by itself what it serves when it comes up."""

WorkerName = Literal["intake", "server", "monitor", "trainer", "evaluator"]


class Message(BaseModel):
    """One line on the channel."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Command(Message):
    """Work that a worker answers. The supervisor numbers each command that it sends."""

    id: int = UNASKED


class Answer(Message):
    """What a command came to. ``to`` is the id of that command."""

    to: int


class Failure(Answer):
    """The work asked for could not be done. ``retry`` says whether another attempt may help."""

    kind: Literal["failure"] = "failure"
    reason: str
    retry: bool
    diverged: bool = False
    """The run did not learn but lost what it knew."""
    out_of_memory: bool = False

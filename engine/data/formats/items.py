"""What reading a file yields: conversations found and pieces refused, each with its place, and where to read on."""

from dataclasses import dataclass
from typing import Literal

from engine.data.conversation import Conversation
from engine.data.storable import storable

Layout = Literal["lines", "document", "transcript", "utterances", "plain"]


class FormatError(ValueError):
    """Why something cannot be learned from, in words for the person who made the file."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one record may be at most; a larger one is refused before it is parsed."""

    record_bytes: int = 8 << 20
    depth: int = 64
    containers: int = 250_000
    """JSON objects and arrays in one record: bounds the memory that parsing takes."""
    turns: int = 10_000


@dataclass(frozen=True, slots=True)
class Resume:
    """Where reading goes on once the file has grown: what lies before ``offset`` can no longer change."""

    layout: Layout
    offset: int
    line: int


@dataclass(frozen=True, slots=True)
class Found:
    """One conversation, from bytes ``start`` to ``end`` of the file; ``line`` counts from 1."""

    conversation: Conversation
    line: int
    start: int
    end: int
    resume: Resume


@dataclass(frozen=True, slots=True)
class Refused:
    """Bytes ``start`` to ``end`` cannot be learned from, and why. ``line`` is 0 where the whole file is meant.

    The reason may quote the file: it is made storable here, for whoever passes it on.
    """

    reason: str
    line: int
    start: int
    end: int
    resume: Resume

    def __post_init__(self) -> None:
        object.__setattr__(self, "reason", storable(self.reason))


Item = Found | Refused

"""What a record may be at most, what the names in it mean, and how one is refused."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.data.records.names.settings import Names
from engine.data.tasks.task import Task


class FormatError(ValueError):
    """Why something cannot be learned from, in words for the person who made the file."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one record may be at most, and how it is read; a larger one is refused before it is parsed."""

    record_bytes: int = 8 << 20
    depth: int = 64
    containers: int = 250_000
    """JSON objects and arrays in one record: bounds the memory that parsing takes."""
    turns: int = 10_000
    disliked: frozenset[str] = frozenset()
    """Ids of answers that a file beside the one that is read calls bad."""
    names: Names = field(default_factory=Names)
    """What the settings say about names in files."""
    tasks: Mapping[str, Task] = field(default_factory=dict)
    """What labelled rows can be of."""

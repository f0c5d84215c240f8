"""What a record may be at most, and how one is refused."""

from dataclasses import dataclass


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

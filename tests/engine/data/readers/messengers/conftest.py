"""Reads an export as the settings would have it read."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.data.readers import loaders
from engine.data.readers.items import Found, Item, Refused
from engine.data.records.limits import Limits
from engine.data.records.names.settings import Names, Part, key

Talk = list[tuple[str, str]]
Read = Callable[..., tuple[list[Talk], list[str]]]


def read(
    raw: bytes | str, *, path: Path = Path("export"), pause_hours: float = 8, **parts: tuple[str, ...]
) -> tuple[list[Talk], list[str]]:
    """What each dialogue says, context marked with a star, and why something is refused."""
    known: dict[str, Part] = {"assistant": "assistant", "user": "user", "ignored": "ignored"}
    speakers = {key(name): known[part] for part, names in parts.items() for name in names}
    limits = Limits(names=Names(speakers=speakers, pause_seconds=pause_hours * 3600))
    stream = io.BytesIO(raw.encode() if isinstance(raw, str) else raw)
    items: list[Item] = list(loaders.read(path, stream, limits))
    said = [
        [(f"{m.role}{'' if m.weight else '*'}", m.content) for m in item.sample.messages]
        for item in items
        if isinstance(item, Found) and item.sample.kind == "dialogue"
    ]
    return said, [item.reason for item in items if isinstance(item, Refused)]


@pytest.fixture(name="read", scope="session")
def reader() -> Read:
    return read

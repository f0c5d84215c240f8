"""What a candidate and the version in service answered to the same prompts, as its evaluation wrote it down."""

import json
from pathlib import Path

from pydantic import BaseModel, JsonValue, TypeAdapter, ValidationError

from control.paths import Paths

_LONGEST = 2000
"""Characters of each text that are shown."""
_MOST_BYTES = 16 << 20


class _Sample(BaseModel):
    prompt: str
    expected: str | None
    candidate: str
    incumbent: str | None


_SAMPLES = TypeAdapter(list[_Sample])


def of_version(paths: Paths, version: int) -> list[JsonValue]:
    """Each with ``prompt``, ``expected``, ``candidate`` and ``incumbent``; none where it was not judged. Blocking."""
    file = paths.version(version) / "evaluation.json"
    try:
        found = _SAMPLES.validate_python(json.loads(_read(file))["samples"])
    except (OSError, ValueError, KeyError, TypeError, ValidationError):
        return []
    return [{name: _shortened(text) for name, text in sample.model_dump().items()} for sample in found]


def _read(file: Path) -> bytes:
    with file.open("rb") as stream:
        return stream.read(_MOST_BYTES)


def _shortened(text: str | None) -> str | None:
    return text if text is None or len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."

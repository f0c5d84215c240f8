"""Lines of ``metrics.jsonl`` as the monitor reads them. Values that are missing or malformed are left out."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError


class Histogram(BaseModel):
    """How often values fall into bins of equal width from ``low`` to ``high``, and their mean and deviation."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    low: float
    high: float
    counts: list[int] = Field(min_length=1)
    mean: float
    deviation: float


class Example(BaseModel):
    """What came before, what followed, and what the model held likeliest at each place."""

    model_config = ConfigDict(frozen=True)

    before: str
    expected: str
    predicted: str


@dataclass(frozen=True)
class Line:
    """One line. ``at`` is in seconds since 1970, null where it does not say; ``values`` are finite."""

    step: int
    at: float | None
    values: Mapping[str, float]
    histograms: Mapping[str, Histogram]
    examples: Sequence[Example]


_HISTOGRAMS = TypeAdapter(dict[str, Histogram])
_EXAMPLES = TypeAdapter(list[Example])


def parse(text: bytes) -> Line | None:
    """Parse one line of ``metrics.jsonl``; null if it is not one."""
    try:
        value: dict[str, JsonValue] = json.loads(text)
        step, at = value.pop("step"), value.pop("at", None)
        histograms = _HISTOGRAMS.validate_python(value.pop("histograms", {}))
        examples = _EXAMPLES.validate_python(value.pop("examples", []))
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError, ValidationError):
        return None
    if not isinstance(step, int):
        return None
    numbers = {k: float(v) for k, v in value.items() if isinstance(v, int | float) and not isinstance(v, bool)}
    finite = {name: number for name, number in numbers.items() if math.isfinite(number)}
    return Line(step, _seconds(at), finite, histograms, examples)


def _seconds(at: JsonValue) -> float | None:
    try:
        return datetime.fromisoformat(at).timestamp() if isinstance(at, str) else None
    except ValueError:
        return None

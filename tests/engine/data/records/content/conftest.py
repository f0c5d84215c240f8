"""What is read of a record, and what the marks beside an answer make of it."""

import json

from engine.data.records.limits import FormatError, Limits
from engine.data.records.registry import parse
from engine.data.samples import Dialogue, Sample


def samples(record: object) -> list[Sample]:
    return [each for each in parse(json.loads(json.dumps(record)), Limits()) if not isinstance(each, FormatError)]


def weight(marks: dict[str, object]) -> int:
    """Of the first answer of two."""
    turns = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b", **marks},
        {"role": "user", "content": "c"},
        {"role": "assistant", "content": "d"},
    ]
    (found,) = samples({"messages": turns})
    assert isinstance(found, Dialogue)
    return found.messages[1].weight

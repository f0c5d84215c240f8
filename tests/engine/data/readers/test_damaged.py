"""An envelope of which an element is damaged, or which was cut off, costs that element."""

import io
import json

import pytest

from engine.data.readers.items import Found, Refused
from engine.data.readers.read import read_known
from engine.data.records.limits import Limits

GOOD = json.dumps({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]})


@pytest.mark.parametrize(
    ("text", "found", "line", "reason"),
    [
        (f'{{"chats": [{GOOD},\n{{"messages": [{{x}}]}},\n{GOOD}], "version": 1}}', 2, 2, "not valid JSON"),
        (f'{{"version": 1, "data": [\n{GOOD},\n{{"messages": [{{"role": "us', 1, 3, "cut off"),
        (f'{{"data": [{GOOD}, {{"x": 1}}]}}', 1, 1, "element 2: an object of unknown shape"),
        ('{"messages": [{"role": "user", "content": "a"}, {x}]}', 0, 1, "not valid JSON"),
        ('{"conversations": [{"from": "human", "value": "a"}, {x}]}', 0, 1, "not valid JSON"),
    ],
    ids=["damaged", "cut off", "of another shape", "one conversation", "one of ShareGPT"],
)
def test_the_others_are_read(text: str, found: int, line: int, reason: str) -> None:
    items = list(read_known(io.BytesIO(text.encode()), Limits()))
    assert sum(isinstance(item, Found) for item in items) == found
    [refused] = [item for item in items if isinstance(item, Refused)]
    assert refused.line == line
    assert reason in refused.reason

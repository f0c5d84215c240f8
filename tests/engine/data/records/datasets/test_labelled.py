"""Texts with labels or spans are kept as such, beside the text itself, which is learned; one without is plain text."""

import pytest

from engine.data.records.limits import FormatError, Limits
from engine.data.records.registry import parse
from engine.data.samples import Labelled, LabelledSpan, Text


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"text": "good", "label": 1}, Labelled("good", 1)),
        ({"text": "good", "label": 0}, Labelled("good", 0)),
        ({"text": "good", "label": "pos", "task": "mood"}, Labelled("good", "pos", "mood")),
        ({"text": "a", "text_pair": "b", "label": True}, Labelled("a", True, text_pair="b")),
        ({"text": "a", "label": ["x", "y"]}, Labelled("a", ("x", "y"))),
        (
            {"text": "\U0001f600 in Oban", "spans": [{"start": 5, "end": 9, "label": "place"}]},
            Labelled("\U0001f600 in Oban", spans=(LabelledSpan(5, 9, "place"),)),
        ),
        ({"text": "good", "label": None}, Text("good")),
        ({"text": "good", "spans": []}, Text("good")),
    ],
)
def test_a_label_makes_a_labelled_sample(record, expected) -> None:
    text = Text(expected.text)
    assert list(parse(record, Limits())) == ([text] if expected == text else [text, expected])


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"text": "good", "label": {"a": 1}}, "not an object"),
        ({"text": " ", "label": 1}, "'text' is empty"),
        ({"text": "abc", "spans": [{"start": 1, "end": 4, "label": "x"}]}, "does not lie in the text"),
        ({"text": "abc", "spans": [{"start": 1}]}, "a start, an end and a label"),
        ({"text": " abc", "spans": [{"start": 1, "end": 2, "label": "x"}]}, "blank ends"),
    ],
)
def test_what_is_wrong_with_it_is_said(record, reason) -> None:
    with pytest.raises(FormatError, match=reason):
        parse(record, Limits())

"""Marks of what was cited are not part of an answer."""

import pytest

from engine.data.records.content.citations import without_citations


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("It is deep. \ue200cite\ue202turn0search3\ue201 Very.", "It is deep. Very."),
        ("It is deep\ue200cite\ue202turn0search3\ue202turn1view0\ue201.", "It is deep."),
        ('By the \ue200entity\ue202["river","Tay","Scotland"]\ue201 it is.', "By the Tay it is."),
        ("Deep \ue200entity\ue202[not json\ue201.", "Deep."),
        ("It is deep\u301012\u2020source\u3011.", "It is deep."),
        ("\u3010Deep\u3011 water\u2020", "\u3010Deep\u3011 water\u2020"),
    ],
)
def test_marks_of_citations_are_left_out(text: str, shown: str) -> None:
    assert without_citations(text) == shown

"""Records with the keys of every shape and values of any kind are read or refused; nothing else is raised."""

import contextlib

from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import JsonValue

from engine.data.records.collections.conversations import conversations_in
from engine.data.records.limits import FormatError, Limits
from engine.data.records.registry import SHAPES, parse

KEYS = sorted(
    {key for shape in SHAPES for key in shape.keys}
    | set(
        "role content from value text type author sender parts payload direction event sender_id custom_id body".split()
    )
    | set("response result message choices id parent_id rank weight label chosen rejected prompt completion".split())
    | set(
        "scores responses instruction output question answer versions steps currentlySelected internal actions".split()
    )
    | set("savedsettings state sessions current_node children metadata attachments files vote requester_id".split())
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 2),
    st.floats(allow_nan=False),
    st.sampled_from(["", "user", "assistant", "x"]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)
RECORDS = st.dictionaries(st.sampled_from(KEYS), VALUES, min_size=1, max_size=6)


@settings(max_examples=100, deadline=None)
@given(RECORDS)
def test_a_record_is_read_or_refused(record: dict[str, JsonValue]) -> None:
    with contextlib.suppress(FormatError):
        parse(record, Limits())


@settings(max_examples=40, deadline=None)
@given(st.lists(RECORDS, max_size=4))
def test_so_are_rows(rows: list[dict[str, JsonValue]]) -> None:
    conversations_in(rows, Limits())

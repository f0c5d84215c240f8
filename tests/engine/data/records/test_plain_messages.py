"""The short way reads what it takes as the way of all shapes does, and leaves everything else to it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.data.readers import json_values
from engine.data.records import messages, plain_messages, registry
from engine.data.records.limits import FormatError, Limits
from engine.data.records.names.settings import Names
from engine.data.records.renaming import as_known
from engine.data.samples import Dialogue, Message

_LIMITS = Limits(turns=4)
_words = (
    st.sampled_from(["", " ", "hello", "wie geht's\r\n", "e\u0301", "\x00", "\ud800"])
    | st.sampled_from(
        ["<image>\nWhat?", "what?\n<image>", "![a](b.png) what?", "what? ![a](b.png)", "<b>bold</b>", "f(x)"]
    )
    | st.sampled_from(["<think>a</think>b", "<think>a", "a\n</think>\nb", " <|begin_of_thought|>a<|end_of_thought|>b"])
    | st.text(max_size=8)
)
_turns = st.builds(
    lambda fields, role, said, more: {fields[0]: role, fields[1]: said, **more},
    st.sampled_from([("role", "content"), ("from", "value")]),
    st.sampled_from(["system", "user", "assistant", "gpt", "Human ", "tool", "nobody", None, ["user"]]),
    _words | st.sampled_from([None, 3, ["a part"]]),
    st.sampled_from([{}, {}, {}, {"weight": 0}, {"name": "ann"}]),
)
_records = st.builds(
    lambda key, turns, more: {key: turns, **more},
    st.sampled_from(["messages", "conversations", "conversation"]),
    st.lists(_turns | st.none(), max_size=5) | st.none(),
    st.sampled_from([{}, {}, {"id": 1}, {"system": "be brief"}]),
)


@given(_records)
def test_it_reads_as_the_way_of_all_shapes(record):
    short = plain_messages.parse(record, _LIMITS)
    if short is not None:
        parse = messages.parse_openai if "messages" in record else messages.parse_sharegpt
        assert short.dialogue == parse(record, _LIMITS)


def _written(record, is_ascii: bool, place: int, put: bytes) -> bytes:
    """A line of JSON, with something put into it that may break it."""
    line = json.dumps(record, ensure_ascii=is_ascii).encode(errors="surrogatepass")
    at = place % (len(line) + 1)
    return line[:at] + put + line[at + len(put) // 2 :]


@given(
    st.builds(
        _written,
        _records,
        st.booleans(),
        st.integers(0, 400),
        st.sampled_from(
            [b"", b"", b"", b"\n", b"\t", b"\x00", b"\xff", b"\\ud800", b"\\u0041", b",", b'"', b"\\/", b"1" * 70]
        )
        | st.binary(max_size=3),
    )
)
def test_a_line_is_read_as_by_the_way_of_all_lines(line):
    short = plain_messages.parse_line(line, _LIMITS)
    if short is not None:
        value = as_known(json_values.parse(line, _LIMITS), _LIMITS)
        assert registry.parse(value, _LIMITS) == [short.dialogue]


@pytest.mark.parametrize("key", ["messages", "conversations"])
def test_most_lines_go_the_short_way(key):
    who, what = ("role", "content") if key == "messages" else ("from", "value")
    turns = [{who: "user", what: "Wie geht's? \U0001f600"}, {who: "assistant", what: 'a "b"\n'}]
    for is_ascii in (True, False):
        line = f"{json.dumps({key: turns}, ensure_ascii=is_ascii)}\r\n".encode()
        assert plain_messages.parse_line(line, _LIMITS) == plain_messages.parse({key: turns}, _LIMITS) is not None


@pytest.mark.parametrize(
    "limits",
    [
        Limits(names=Names(roles={"user": "assistant"})),
        Limits(names=Names(columns={"messages": "assistant"})),
        Limits(record_bytes=80),
        Limits(containers=80),
    ],
)
def test_what_settings_may_rename_or_refuse_goes_the_way_of_all_lines(limits):
    line = json.dumps({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}).encode()
    assert len(line) > 80
    assert plain_messages.parse_line(line, Limits()) is not None
    assert plain_messages.parse_line(line, limits) is None


def test_no_other_shape_is_asked_before_it():
    """Records that the short way takes are of the shapes that it stands for."""
    for record in (
        {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]},
        {"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]},
    ):
        shape = next(shape for shape in registry.SHAPES if shape.fits(record))
        assert shape.parse(record, _LIMITS) == plain_messages.parse(record, _LIMITS).dialogue
        assert registry.parse(record, _LIMITS) == [Dialogue((Message("user", "a"), Message("assistant", "b")))]


@pytest.mark.parametrize("turns", [[], [{"role": "user", "content": "x"}], [{"role": "assistant", "content": " "}]])
def test_what_is_to_be_refused_is_refused_elsewhere(turns):
    assert plain_messages.parse({"messages": turns}, _LIMITS) is None
    with pytest.raises(FormatError):
        registry.parse({"messages": turns}, _LIMITS)

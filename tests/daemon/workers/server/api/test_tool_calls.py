"""Calls are found in what a model writes, however it comes in pieces."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.workers.server.api.tool_calls import CallReader, Content, Said
from engine.data.samples import Message, ToolCall
from engine.tokenizers.call_form import PLAIN, CallForm

MARKED = CallForm("<tool_call>\n", "\n</tool_call>", "\n", "arguments")
NAMES = ("weather", "time")


def read(text: str, form: CallForm = PLAIN, cuts: tuple[int, ...] = ()) -> Said:
    reader, said = CallReader(form, NAMES), Said()
    edges = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    for start, end in itertools.pairwise(edges):
        said.add(reader.push(text[start:end]))
    said.add(reader.finish())
    assert reader.calls == len(said.calls)
    return said


def found(said: Said) -> tuple[str, list[tuple[str, str]]]:
    return said.content, [(call.name, text) for call, text in zip(said.calls, said.arguments, strict=True)]


CASES: list[tuple[CallForm, str, str, list[tuple[str, str]]]] = [
    (PLAIN, "Hello.\n\n", "Hello.\n\n", []),
    (PLAIN, '{"name": "weather", "arguments": {"a": "}"}}', "", [("weather", '{"a": "}"}')]),
    (PLAIN, 'So:\n{"name": "time", "arguments": {}}', "So:", [("time", "{}")]),
    (
        PLAIN,
        '{"name": "time", "arguments": {"a": [{"b": "\\"{"}]}}\n{"name": "weather", "arguments": {"é": 1}}',
        "",
        [("time", '{"a": [{"b": "\\"{"}]}'), ("weather", '{"é": 1}')],
    ),
    (PLAIN, 'x {"name": "time", "arguments": {}}', 'x {"name": "time", "arguments": {}}', []),
    (PLAIN, '{"name": "Ann", "arguments": {}}', '{"name": "Ann", "arguments": {}}', []),
    (PLAIN, '{"name": "time", "arguments": {"a": 1', "", [("time", '{"a": 1')]),
    (PLAIN, '{"name": "ti', '{"name": "ti', []),
    (MARKED, 'a\n<tool_call>\n{"name": "time", "arguments": {}}\n</tool_call>', "a", [("time", "{}")]),
    (
        MARKED,
        '<tool_call>\n{"name": "time", "arguments": {}}\n</tool_call>\n'
        '<tool_call>\n{"name": "weather", "arguments": {}}\n</tool_call>',
        "",
        [("time", "{}"), ("weather", "{}")],
    ),
]


@pytest.mark.parametrize("case", range(len(CASES)))
@given(cuts=st.lists(st.integers(0, 200), max_size=12))
def test_calls_are_found_however_the_text_is_cut(case: int, cuts: list[int]) -> None:
    form, text, content, calls = CASES[case]
    assert found(read(text, form, tuple(cuts))) == (content, calls)


@given(content=st.text(max_size=30), value=st.recursive(st.text() | st.integers(), st.lists, max_leaves=5))
def test_what_is_learned_is_read_back(content: str, value: object) -> None:
    calls = (ToolCall("weather", {"v": value}), ToolCall("time", {}))
    said = read(Message("assistant", content, calls).plain_content)
    assert [(call.name, call.arguments) for call in said.message.tool_calls] == [
        ("weather", {"v": value}),
        ("time", {}),
    ]
    assert said.content.rstrip() == content.rstrip()
    assert [json.loads(call["function"]["arguments"]) for call in said.written_calls] == [{"v": value}, {}]
    assert len({call.id for call in said.calls}) == 2


def test_text_is_not_held_back_longer_than_it_must_be() -> None:
    reader = CallReader(PLAIN, NAMES)
    assert reader.push("Hello {") == [Content("Hello {")]
    assert reader.push("\n{") == []
    assert reader.push("x") == [Content("\n{x")]


def test_an_answer_without_tools_is_text() -> None:
    reader = CallReader(PLAIN, ())
    text = '{"name": "weather", "arguments": {}}\n '
    assert (reader.push(text), reader.finish()) == ([Content(text)], [])


def test_a_long_answer_is_read_in_a_moment() -> None:
    text = ("word " * 20 + "\n") * 10_000
    assert found(read(text)) == (text, [])

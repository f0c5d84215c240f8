"""Calls keep to the schemas of their tools; in optional ones text is free until a call has begun."""

import json

import pytest

from engine.data.samples import Message, ToolCall
from engine.inference.constraints.cache import CompiledStructures
from engine.inference.constraints.calls import CallsStructure, Tool
from engine.inference.constraints.constraint import StructureError
from engine.inference.constraints.structures import JsonStructure
from engine.tokenizers.bytes import ByteTokenizer
from engine.tokenizers.call_form import PLAIN, CallForm
from tests.engine.inference.constraints.test_structures import fits

BYTES = ByteTokenizer()
CITY = {"type": "object", "properties": {"city": {"enum": ["Köln", "Oslo"]}}, "required": ["city"]}
WEATHER, TIME = Tool("weather", CITY), Tool("time", {})
MARKED = CallForm("<tool_call>\n", "\n</tool_call>", "\n", "parameters")


def written(*calls: ToolCall) -> str:
    """As they are learned."""
    return Message("assistant", "", calls).plain_content


def test_what_is_learned_is_what_is_served() -> None:
    one, two = ToolCall("weather", {"city": "Köln"}), ToolCall("time", {})
    several, single = (CallsStructure(PLAIN, (WEATHER, TIME), several) for several in (True, False))
    assert fits(several, written(one))
    assert fits(several, written(one, two, one))
    assert fits(single, written(two))
    assert not fits(single, written(one, two))
    assert not fits(several, written(ToolCall("weather", {"city": "Rome"})))
    assert not fits(several, written(ToolCall("weather", {})))
    assert not fits(several, written(ToolCall("time", {"zone": 1})))
    assert not fits(several, written(ToolCall("nobody", {})))
    assert not fits(several, "hello")


def test_calls_between_marks_and_calls_or_an_answer() -> None:
    marked = CallsStructure(MARKED, (WEATHER, TIME), several=True)
    call = '<tool_call>\n{"name": "weather", "parameters": {"city": "Oslo"}}\n</tool_call>'
    assert fits(marked, call)
    assert fits(marked, f"{call}\n{call}")
    assert not fits(marked, f"{call}{call}")
    either = CallsStructure(PLAIN, (WEATHER,), several=True, answer=JsonStructure(CITY))
    assert fits(either, '{"city": "Oslo"}')
    assert fits(either, written(ToolCall("weather", {"city": "Oslo"})))
    assert not fits(either, "Oslo")


def test_parameters_that_cannot_be_kept_to_name_their_tool() -> None:
    with pytest.raises(StructureError, match="parameters of odd"):
        CallsStructure(PLAIN, (Tool("odd", json.loads('{"items": ' * 80 + "1" + "}" * 80)),), several=True).grammar()
    with pytest.raises(StructureError, match="all parameters together"):
        CallsStructure(PLAIN, (Tool("big", {"const": "x" * 70_000}),), several=True).grammar()


FREE, HELD = True, False


@pytest.mark.parametrize(
    ("form", "text", "then"),
    [
        (PLAIN, "hello", FREE),
        (PLAIN, '{"name": "weather", "arguments": ', HELD),
        (PLAIN, 'I look it up.\n{"name": "time", "arguments": ', HELD),
        (PLAIN, 'inside a line {"name": "time", "arguments": ', FREE),
        (PLAIN, '{"name": "Ann", "arguments": {"x": 1}}', FREE),
        (PLAIN, '{"name": "weather", "age": 3}', FREE),
        (PLAIN, "x" * 5000 + '\n{"name": "time", "arguments": ', HELD),
        (MARKED, "so <tool_call>", HELD),
        (MARKED, "so <tool_cal", FREE),
    ],
)
def test_text_is_free_until_a_call_has_begun(form: CallForm, text: str, then: bool) -> None:
    calls = CallsStructure(form, (WEATHER, TIME), several=True)
    mask = CompiledStructures().optional(calls, BYTES).begin()
    for token in BYTES.encode(text):
        mask.advance(token)
        mask.wait(10)
    assert (mask.allowed is None, mask.failure) == (then, "")


def test_a_call_that_has_begun_is_held_to_its_schema_wherever_tokens_cut_it() -> None:
    """The token that completes the head has some of the arguments in it."""

    class Coarse(ByteTokenizer):
        """With one more token."""

        def __init__(self) -> None:
            super().__init__()
            self._bytes.append(b's": {"ci')
            self.vocabulary += 1

    coarse = Coarse()
    calls = CallsStructure(PLAIN, (WEATHER,), several=False)
    mask = CompiledStructures().optional(calls, coarse).begin()
    for token in [*coarse.encode('{"name": "weather", "argument'), coarse.vocabulary - 1]:
        mask.advance(token)
        mask.wait(10)
    assert mask.allowed is not None
    assert [coarse.decode([token]) for token, may in enumerate(mask.allowed) if may] == ["t"]


def test_references_mean_the_definitions_of_their_own_tool() -> None:
    def referring(*cities: str) -> dict[str, object]:
        return {
            "properties": {"city": {"$ref": "#/$defs/C"}},
            "required": ["city"],
            "$defs": {"C": {"enum": [*cities]}},
        }

    tools = (Tool("near", referring("Oslo")), Tool("far", referring("Lima")))
    calls = CallsStructure(PLAIN, tools, several=True, answer=JsonStructure({**referring("Rome"), "type": "object"}))
    assert fits(calls, written(ToolCall("near", {"city": "Oslo"}), ToolCall("far", {"city": "Lima"})))
    assert not fits(calls, written(ToolCall("far", {"city": "Oslo"})))
    assert fits(calls, '{"city": "Rome"}')

"""``/v1/responses`` through OpenAI's own package: whole and streamed, with tools, structures and what is remembered."""

import json
from collections.abc import Sequence
from typing import Literal

import openai
import pydantic
import pytest

from tests.daemon.workers.server.api.conftest import InProcess

RESPONSES = "/v1/responses"
CITY = {"type": "object", "properties": {"city": {"enum": ["Köln", "Oslo"]}}, "required": ["city"]}
WEATHER = {"type": "function", "name": "weather", "description": "It tells it.", "parameters": CITY}
CLOCK = {"type": "function", "name": "clock"}
GREEDY = {"model": "thor", "temperature": 0, "max_output_tokens": 12}


class Pet(pydantic.BaseModel):
    animal: Literal["fox", "dog"]
    old: bool


@pytest.mark.anyio
async def test_the_answer_is_that_of_a_chat(in_process: InProcess) -> None:
    """Text, items, parts and instructions become the same prompt."""
    asked = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hello"}]
    async with in_process.openai() as client:
        chat = await client.chat.completions.create(
            model="thor", messages=asked, temperature=0, max_tokens=12, logprobs=True, top_logprobs=2
        )
        whole = await client.responses.create(
            instructions="Be brief.",
            input="hello",
            include=["message.output_text.logprobs"],
            top_logprobs=2,
            metadata={"a": "b"},
            **GREEDY,
        )
        parts = [{"type": "input_text", "text": "hel"}, {"type": "input_text", "text": "lo"}]
        items = [{"role": "developer", "content": "Be brief."}, {"type": "message", "role": "user", "content": parts}]
        same = await client.responses.create(input=items, **GREEDY)
    assert whole.output_text == same.output_text == chat.choices[0].message.content
    (message,) = whole.output
    told, known = message.content[0].logprobs, chat.choices[0].logprobs.content
    assert [(each.token, each.logprob, len(each.top_logprobs)) for each in told] == [
        (each.token, each.logprob, 2) for each in known
    ]
    assert (whole.usage.input_tokens, whole.usage.output_tokens) == (
        chat.usage.prompt_tokens,
        chat.usage.completion_tokens,
    )
    assert whole.metadata == {"a": "b"}
    ended = {"stop": ("completed", None), "length": ("incomplete", "max_output_tokens")}[chat.choices[0].finish_reason]
    assert (whole.status, whole.incomplete_details and whole.incomplete_details.reason) == ended


@pytest.mark.anyio
async def test_a_stream_tells_of_every_item_from_its_beginning_to_its_end(in_process: InProcess) -> None:
    async with in_process.openai() as client:
        whole = await client.responses.create(input="hello", **GREEDY)
        stream = await client.responses.create(input="hello", stream=True, **GREEDY)
        events = [event async for event in stream]
    kinds = [event.type.removeprefix("response.") for event in events]
    deltas = kinds.count("output_text.delta")
    assert kinds == [
        *("created", "in_progress", "output_item.added", "content_part.added"),
        *["output_text.delta"] * deltas,
        *("output_text.done", "content_part.done", "output_item.done", whole.status),
    ]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert text == events[-4].text == whole.output_text
    last = events[-1].response
    assert last.output_text == text
    assert events[0].response.id == last.id
    assert {event.item_id for event in events[3:-2]} == {last.output[0].id}


@pytest.mark.anyio
async def test_structures_are_kept_to(in_process: InProcess) -> None:
    async with in_process.openai() as client:
        parsed = await client.responses.parse(model="thor", input="hello", text_format=Pet)
        assert isinstance(parsed.output_parsed, Pet)
        async with client.responses.stream(model="thor", input="hello", text_format=Pet) as stream:
            assert isinstance((await stream.get_final_response()).output_parsed, Pet)
        anything = await client.responses.create(input="hello", text={"format": {"type": "json_object"}}, **GREEDY)
        assert anything.output_text.startswith("{")


def called(output: Sequence[object]) -> list[tuple[str, set[str]]]:
    return [(item.name, set(json.loads(item.arguments))) for item in output if item.type == "function_call"]


@pytest.mark.anyio
async def test_tools_are_called_as_they_must_be(in_process: InProcess) -> None:
    given = {"model": "thor", "input": "hello", "tools": [WEATHER, CLOCK], "parallel_tool_calls": False}
    given["extra_body"] = {"seed": 3}
    async with in_process.openai() as client:
        whole = await client.responses.create(tool_choice="required", **given)
        (call,) = called(whole.output)
        assert call in [("weather", {"city"}), ("clock", set())]
        stream = await client.responses.create(tool_choice="required", stream=True, **given)
        events = [event async for event in stream]
        assert called(events[-1].response.output) == [call]
        arguments = [event.delta for event in events if event.type == "response.function_call_arguments.delta"]
        assert "".join(arguments) == whole.output[0].arguments
        named = await client.responses.create(tool_choice={"type": "function", "name": "clock"}, **given)
        assert called(named.output) == [("clock", set())]
        free = await client.responses.create(tool_choice="none", max_output_tokens=5, **given)
        assert called(free.output) == []


@pytest.mark.anyio
async def test_results_of_calls_are_read_whichever_way_they_come_back(in_process: InProcess) -> None:
    """The whole history, the last response by its id, or its items by theirs: the prompt is the same."""
    given = {"model": "thor", "tools": [CLOCK], "temperature": 0}
    asked = {"role": "user", "content": "What time is it?"}
    async with in_process.openai() as client:
        first = await client.responses.create(
            input=[asked], tool_choice="required", parallel_tool_calls=False, instructions="Be brief.", **given
        )
        call = first.output[0]
        result = {"type": "function_call_output", "call_id": call.call_id, "output": "noon"}
        ways = [
            {"input": [asked, call.model_dump(exclude_none=True), result]},
            {"input": [asked, {"type": "item_reference", "id": call.id}, result]},
            {"input": [result], "previous_response_id": first.id},
        ]
        answers = [
            await client.responses.create(instructions="Be brief.", max_output_tokens=8, **given, **way) for way in ways
        ]
    assert len({answer.output_text for answer in answers}) == 1
    assert len({answer.usage.input_tokens for answer in answers}) == 1
    assert answers[0].usage.input_tokens > first.usage.input_tokens


@pytest.mark.anyio
async def test_responses_are_remembered_and_forgotten(in_process: InProcess) -> None:
    async with in_process.openai() as client:
        first = await client.responses.create(input="hello", instructions="Be brief.", **GREEDY)
        second = await client.responses.create(input="again", previous_response_id=first.id, **GREEDY)
        history = [
            {"role": "user", "content": "hello"},
            {"role": "assistant", "content": first.output_text},
            {"role": "user", "content": "again"},
        ]
        by_hand = await client.responses.create(input=history, store=False, **GREEDY)
        assert second.output_text == by_hand.output_text, "instructions are those of one request"
        assert (await client.responses.retrieve(second.id)).output_text == second.output_text
        await client.responses.delete(second.id)
        for missing in (second.id, by_hand.id):
            with pytest.raises(openai.NotFoundError, match="never stored"):
                await client.responses.retrieve(missing)
            with pytest.raises(openai.NotFoundError) as refused:
                await client.responses.create(input="a", previous_response_id=missing, **GREEDY)
            assert (refused.value.code, refused.value.param) == ("previous_response_not_found", "previous_response_id")


@pytest.mark.anyio
async def test_what_no_longer_fits_is_left_out_only_where_that_is_asked_for(in_process: InProcess) -> None:
    history = [{"role": role, "content": "fox " * 300} for role in ("user", "assistant")] * 3
    asked = [*history, {"role": "user", "content": "hello"}]
    async with in_process.openai() as client:
        with pytest.raises(openai.BadRequestError) as refused:
            await client.responses.create(input=asked, **GREEDY)
        assert (refused.value.code, refused.value.param) == ("context_length_exceeded", "input")
        answer = await client.responses.create(input=asked, truncation="auto", store=False, **GREEDY)
        assert answer.usage.input_tokens < 1024


REFUSED: list[tuple[str, str, dict[str, object]]] = [
    ("input", "", {"input": []}),
    ("input.0.content", "text only", {"input": [{"role": "user", "content": [{"type": "input_image"}]}]}),
    ("input.0.type", "message", {"input": [{"type": "web_search_call", "id": "x"}]}),
    ("input.0", "call_id", {"input": [{"type": "function_call_output", "output": "x"}]}),
    ("input", "no item", {"input": [{"type": "item_reference", "id": "msg_1"}]}),
    ("max_output_tokens", "", {"max_output_tokens": -7}),
    ("text.format", "uniqueItems", {"text": {"format": {"type": "json_schema", "schema": {"uniqueItems": True}}}}),
    ("text.format", "schema is missing", {"text": {"format": {"type": "json_schema", "name": "a"}}}),
    ("text.verbosity", "message", {"text": {"verbosity": "low"}}),
    ("tools.0.type", "function", {"tools": [{"type": "web_search"}]}),
    ("tools", "same name", {"tools": [CLOCK, CLOCK]}),
    ("tool_choice", "no tools", {"tool_choice": "required"}),
    ("top_logprobs", "include", {"top_logprobs": 3}),
    ("background", "stream", {"background": True}),
    ("conversation", "previous_response_id", {"conversation": "conv_1"}),
    ("reasoning", "chat_template_kwargs", {"reasoning": {"effort": "high"}}),
    ("max_tokens", "max_output_tokens", {"max_tokens": 5}),
    ("logit_bias", "token 99999", {"logit_bias": {"99999": 1}}),
]


@pytest.mark.anyio
async def test_what_cannot_be_done_is_refused_by_name(in_process: InProcess) -> None:
    async with in_process.http() as client:
        for param, says, body in REFUSED:
            answer = await client.post(RESPONSES, json={"input": "a", **body})
            assert answer.status_code in {400, 404}, (body, answer.text)
            error = answer.json()["error"]
            assert (error["param"], says in error["message"]) == (param, True), (body, error)
        ignored = await client.post(RESPONSES, json={"input": "a", "user": "x", "typo": 1, "max_output_tokens": 1})
        assert ignored.headers["x-thord-ignored-fields"] == "typo"

"""Tools through the API, as OpenAI's own package and the loops of programs use them."""

import json
from collections.abc import Sequence

import openai
import pytest
from openai.types.chat import ChatCompletionChunk

from tests.daemon.workers.server.api.conftest import InProcess

CHAT = "/v1/chat/completions"
ASKED = [{"role": "user", "content": "What is the weather?"}]
CITY = {"type": "object", "properties": {"city": {"enum": ["Köln", "Oslo"]}}, "required": ["city"]}
WEATHER = {"type": "function", "function": {"name": "weather", "description": "It tells it.", "parameters": CITY}}
CLOCK = {"type": "function", "function": {"name": "clock"}}
TOOLS = [WEATHER, CLOCK]


def checked(calls: Sequence[object]) -> list[str]:
    """The names of calls, whose arguments keep to their schemas."""
    for call in calls:
        arguments = json.loads(call.function.arguments)
        assert set(arguments) == ({"city"} if call.function.name == "weather" else set())
        assert (call.type, call.id[:5]) == ("function", "call_")
    assert len({call.id for call in calls}) == len(calls)
    return [call.function.name for call in calls]


@pytest.mark.anyio
async def test_an_answer_calls_what_it_must(in_process: InProcess) -> None:
    named = {"type": "function", "function": {"name": "clock"}}
    async with in_process.openai() as client:

        async def ask(choice: object, **more: object) -> list[object]:
            answer = await client.chat.completions.create(
                model="thor", messages=ASKED, tools=TOOLS, tool_choice=choice, n=3, seed=5, max_tokens=400, **more
            )
            ended = [each for each in answer.choices if each.finish_reason != "length"]
            assert all((each.finish_reason, each.message.content) == ("tool_calls", None) for each in ended)
            assert ended
            return [each.message.tool_calls for each in ended]

        for calls in await ask("required"):
            assert set(checked(calls)) <= {"weather", "clock"}
        for calls in await ask("required", parallel_tool_calls=False):
            assert len(checked(calls)) == 1
        for calls in await ask(named):
            assert checked(calls) == ["clock"]


@pytest.mark.anyio
async def test_calls_are_streamed_in_deltas(in_process: InProcess) -> None:
    given = {"model": "thor", "messages": ASKED, "tools": TOOLS, "tool_choice": "required", "seed": 2}
    async with in_process.openai() as client:
        whole = await client.chat.completions.create(parallel_tool_calls=False, **given)
        stream = await client.chat.completions.create(parallel_tool_calls=False, stream=True, **given)
        chunks: list[ChatCompletionChunk] = [chunk async for chunk in stream]
        async with client.chat.completions.stream(parallel_tool_calls=False, **given) as events:
            put_together = await events.get_final_completion()
    (call,) = whole.choices[0].message.tool_calls
    deltas = [part for chunk in chunks for part in chunk.choices[0].delta.tool_calls or ()]
    first, *rest = deltas
    assert (first.index, first.type, first.function.name) == (0, "function", call.function.name)
    assert first.id
    assert all((each.index, each.id, each.function.name) == (0, None, None) for each in rest)
    assert "".join(each.function.arguments for each in deltas) == call.function.arguments
    assert len(rest) > 1 or call.function.name == "clock"
    assert not any(chunk.choices[0].delta.content for chunk in chunks)
    assert chunks[-1].choices[0].finish_reason == whole.choices[0].finish_reason == "tool_calls"
    assert put_together.choices[0].message.tool_calls[0].function.arguments == call.function.arguments


@pytest.mark.anyio
async def test_a_loop_of_calls_and_results(in_process: InProcess) -> None:
    """What was called goes back with its result, as programs do it, and the next answer sees both."""
    async with in_process.openai() as client:
        messages: list[object] = [*ASKED]
        for _ in range(2):
            answer = await client.chat.completions.create(
                model="thor", messages=messages, tools=TOOLS, tool_choice="required", parallel_tool_calls=False
            )
            message = answer.choices[0].message
            call = message.tool_calls[0]
            messages += [message, {"role": "tool", "tool_call_id": call.id, "content": "rain"}]
        text = await client.chat.completions.create(model="thor", messages=messages, tools=TOOLS, max_tokens=9)
        assert text.usage.prompt_tokens > answer.usage.prompt_tokens
        assert text.choices[0].message.content is not None


@pytest.mark.anyio
async def test_the_prompt_is_the_one_that_is_learned(in_process: InProcess) -> None:
    async with in_process.http() as client:

        async def prompt(**body: object) -> list[int]:
            return (await client.post("/tokenize", json=body)).json()["tokens"]

        learned = f"Tools:\n{json.dumps(TOOLS, ensure_ascii=False)}"
        told = await prompt(messages=ASKED, tools=TOOLS)
        assert told == await prompt(messages=[{"role": "system", "content": learned}, *ASKED])
        strict = {**WEATHER, "function": {**WEATHER["function"], "strict": True}}
        assert told == await prompt(messages=ASKED, tools=[strict, CLOCK])
        brief = {"role": "system", "content": "Be brief."}
        beside = {"role": "system", "content": f"Be brief.\n\n{learned}"}
        assert await prompt(messages=[brief, *ASKED], tools=TOOLS) == await prompt(messages=[beside, *ASKED])
        for body, more in (({"tools": TOOLS}, True), ({"tools": TOOLS, "tool_choice": "none"}, False)):
            usage = (await client.post(CHAT, json={"messages": ASKED, "max_tokens": 1, **body})).json()["usage"]
            assert usage["prompt_tokens"] == len(told if more else await prompt(messages=ASKED))


@pytest.mark.anyio
async def test_beside_tools_an_answer_may_be_json(in_process: InProcess) -> None:
    answers = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": answers}}
    async with in_process.openai() as client:
        answer = await client.chat.completions.create(
            model="thor", messages=ASKED, tools=TOOLS, response_format=form, n=12, seed=1, parallel_tool_calls=False
        )
    kinds = set()
    for choice in answer.choices:
        kinds.add(choice.finish_reason)
        if choice.finish_reason == "tool_calls":
            checked(choice.message.tool_calls)
        else:
            assert set(json.loads(choice.message.content)) == {"ok"}
    assert kinds <= {"stop", "tool_calls"}


def tool(parameters: dict[str, object]) -> dict[str, object]:
    return {"type": "function", "function": {"name": "a", "parameters": parameters}}


NOBODY = {"type": "function", "function": {"name": "nobody"}}
REFUSED: list[tuple[str, str, dict[str, object]]] = [
    ("tools", "array", {"tools": "x"}),
    ("tools.0.type", "function", {"tools": [{"type": "web_search"}]}),
    ("tools.0.function.name", "match", {"tools": [{"type": "function", "function": {"name": "a b"}}]}),
    ("tools", "same name", {"tools": [CLOCK, CLOCK]}),
    (
        "tools.0.function",
        "object",
        {"tools": [tool({"type": "array"})]},
    ),
    (
        "tools",
        "uniqueItems",
        {"tools": [tool({"uniqueItems": True})]},
    ),
    ("tool_choice", "no tools", {"tool_choice": "required"}),
    (
        "tool_choice",
        "none of the tools",
        {"tools": TOOLS, "tool_choice": NOBODY},
    ),
    ("tool_choice", "", {"tools": TOOLS, "tool_choice": "sometimes"}),
    ("ignore_eos", "tools", {"tools": TOOLS, "ignore_eos": True}),
    ("min_tokens", "must call a tool", {"tools": TOOLS, "tool_choice": "required", "min_tokens": 3}),
    ("tools", "the schema of the answer has", {"tools": TOOLS, "guided_json": {"enum": ["a" * 70_000]}}),
    ("guided_regex", "beside tools", {"tools": TOOLS, "guided_regex": "a"}),
    ("functions", "use tools", {"functions": [{"name": "a"}]}),
]


@pytest.mark.anyio
async def test_what_cannot_be_called_is_refused_by_name(in_process: InProcess) -> None:
    async with in_process.http() as client:
        for param, says, body in REFUSED:
            answer = await client.post(CHAT, json={"messages": ASKED, **body})
            assert answer.status_code == 400, (body, answer.text)
            error = answer.json()["error"]
            assert (error["param"], says in error["message"]) == (param, True), (body, error)
    async with in_process.openai() as client:
        with pytest.raises(openai.BadRequestError, match="use /v1/chat/completions"):
            await client.completions.create(model="thor", prompt="a", extra_body={"tools": TOOLS})

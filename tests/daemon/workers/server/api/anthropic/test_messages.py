"""``/v1/messages`` as Anthropic's clients speak it; the package itself is run by ``make clients``."""

import json

import httpx
import pytest

from tests.daemon.workers.server.api.conftest import InProcess

MESSAGES = "/v1/messages"
CITY = {"type": "object", "properties": {"city": {"enum": ["Köln", "Oslo"]}}, "required": ["city"]}
WEATHER = {"name": "weather", "description": "It tells it.", "input_schema": CITY}
HELLO = [{"role": "user", "content": "hello"}]
GREEDY = {"model": "thor", "temperature": 0, "max_tokens": 12, "messages": HELLO}


async def said(client: httpx.AsyncClient, **body: object) -> dict:
    answer = await client.post(MESSAGES, json={**GREEDY, **body})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def events(client: httpx.AsyncClient, **body: object) -> list[dict]:
    text = (await client.post(MESSAGES, json={**GREEDY, **body, "stream": True})).text
    found = [part.split("\n") for part in text.strip().split("\n\n")]
    told = [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in found]
    assert all(name == event["type"] for name, event in told)
    return [event for _, event in told]


@pytest.mark.anyio
async def test_the_answer_is_that_of_a_chat(in_process: InProcess) -> None:
    async with in_process.http() as client:
        messages = [{"role": "system", "content": "Be brief."}, *HELLO]
        body = {"messages": messages, "temperature": 0, "max_tokens": 12}
        chat = (await client.post("/v1/chat/completions", json=body)).json()
        blocks = [{"type": "text", "text": "Be "}, {"type": "text", "text": "brief.", "cache_control": {}}]
        parts = [{"role": "user", "content": [{"type": "text", "text": "hello"}]}]
        for given in ({"system": "Be brief."}, {"system": blocks, "messages": parts}):
            answer = await said(client, **given)
            assert answer["content"] == [{"type": "text", "text": chat["choices"][0]["message"]["content"]}]
            assert answer["usage"]["input_tokens"] == chat["usage"]["prompt_tokens"]
            assert answer["usage"]["output_tokens"] == chat["usage"]["completion_tokens"]
            reasons = {"stop": "end_turn", "length": "max_tokens"}
            assert answer["stop_reason"] == reasons[chat["choices"][0]["finish_reason"]]
        counted = await client.post(f"{MESSAGES}/count_tokens", json={"messages": HELLO, "system": "Be brief."})
        assert counted.json() == {"input_tokens": chat["usage"]["prompt_tokens"]}


@pytest.mark.anyio
async def test_a_stream_tells_of_each_block(in_process: InProcess) -> None:
    async with in_process.http() as client:
        whole = await said(client)
        told = await events(client)
    kinds = [event["type"] for event in told]
    deltas = kinds.count("content_block_delta")
    assert kinds == [
        *("message_start", "content_block_start"),
        *["content_block_delta"] * deltas,
        *("content_block_stop", "message_delta", "message_stop"),
    ]
    text = "".join(event["delta"]["text"] for event in told if event["type"] == "content_block_delta")
    assert text == whole["content"][0]["text"]
    assert told[0]["message"]["usage"]["input_tokens"] == whole["usage"]["input_tokens"]
    assert told[-2]["delta"] == {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    assert told[-2]["usage"]["output_tokens"] == whole["usage"]["output_tokens"]


@pytest.mark.anyio
async def test_the_stop_sequence_that_ended_it_is_named(in_process: InProcess) -> None:
    async with in_process.http() as client:
        text = (await said(client))["content"][0]["text"]
        stop = text[3:5]
        answer = await said(client, stop_sequences=["never", stop])
        assert (answer["stop_reason"], answer["stop_sequence"]) == ("stop_sequence", stop)
        assert answer["content"][0]["text"] == text[: text.index(stop)]
        assert (await events(client, stop_sequences=["never", stop]))[-2]["delta"]["stop_sequence"] == stop


@pytest.mark.anyio
async def test_tools_are_called_and_their_results_are_read(in_process: InProcess) -> None:
    given = {"tools": [WEATHER], "tool_choice": {"type": "any", "disable_parallel_tool_use": True}, "max_tokens": 200}
    async with in_process.http() as client:
        answer = await said(client, **given)
        (call,) = answer["content"]
        assert (call["type"], call["name"], answer["stop_reason"]) == ("tool_use", "weather", "tool_use")
        assert call["input"]["city"] in CITY["properties"]["city"]["enum"]
        told = await events(client, **given)
        begun = next(event for event in told if event["type"] == "content_block_start")["content_block"]
        assert (begun["name"], begun["input"]) == ("weather", {})
        pieces = [event["delta"]["partial_json"] for event in told if event["type"] == "content_block_delta"]
        assert json.loads("".join(pieces)) == call["input"]
        result = {"type": "tool_result", "tool_use_id": call["id"], "content": [{"type": "text", "text": "rain"}]}
        history = [*HELLO, {"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
        last = await said(client, messages=history, tools=[WEATHER], tool_choice={"type": "none"})
        assert last["usage"]["input_tokens"] > (await said(client))["usage"]["input_tokens"]
        named = await said(client, **{**given, "tool_choice": {"type": "tool", "name": "weather"}})
        assert [block["type"] for block in named["content"]] == ["tool_use"]


@pytest.mark.anyio
async def test_a_last_message_of_the_assistant_is_gone_on_with(in_process: InProcess) -> None:
    async with in_process.http() as client:
        whole = (await said(client))["content"][0]["text"]
        begun = {"role": "assistant", "content": whole[:4]}
        body = {"messages": [*HELLO, begun], "continue_final_message": True, "temperature": 0, "max_tokens": 5}
        chat = (await client.post("/v1/chat/completions", json=body)).json()
        answer = await said(client, messages=[*HELLO, begun], max_tokens=5)
        assert answer["content"][0]["text"] == chat["choices"][0]["message"]["content"]


@pytest.mark.anyio
async def test_json_of_a_schema(in_process: InProcess) -> None:
    async with in_process.http() as client:
        config = {"format": {"type": "json_schema", "schema": CITY}}
        answer = await said(client, output_config=config, max_tokens=100)
        assert set(json.loads(answer["content"][0]["text"])) == {"city"}


REFUSED: list[tuple[str, dict[str, object]]] = [
    ("max_tokens: Field required", {"max_tokens": None}),
    ("messages.0.content: a block of type 'image'", {"messages": [{"role": "user", "content": [{"type": "image"}]}]}),
    ("messages.0.role", {"messages": [{"role": "system", "content": "a"}]}),
    ("messages.0.content.0: tool_use_id", {"messages": [{"role": "user", "content": [{"type": "tool_result"}]}]}),
    ("thinking", {"thinking": {"type": "enabled", "budget_tokens": 1024}}),
    ("tools.0.type", {"tools": [{**WEATHER, "type": "web_search_20250305"}]}),
    ("tool_choice: it names none", {"tools": [WEATHER], "tool_choice": {"type": "tool", "name": "x"}}),
    ("stop_sequences", {"stop_sequences": "x"}),
    ("output_config.format: ", {"output_config": {"format": {"type": "json_schema", "schema": {"not": {}}}}}),
    ("output_config.effort", {"output_config": {"effort": "low"}}),
]


@pytest.mark.anyio
async def test_errors_have_the_shape_of_anthropics(in_process: InProcess) -> None:
    async with in_process.http() as client:
        for says, body in REFUSED:
            given = {name: value for name, value in {**GREEDY, **body}.items() if value is not None}
            answer = await client.post(MESSAGES, json=given)
            assert answer.status_code == 400, (body, answer.text)
            found = answer.json()
            assert (found["type"], found["error"]["type"]) == ("error", "invalid_request_error")
            assert found["error"]["message"].startswith(says), found
        lost = await client.post(MESSAGES, json={**GREEDY, "model": "other"})
        assert (lost.status_code, lost.json()["error"]["type"]) == (404, "not_found_error")

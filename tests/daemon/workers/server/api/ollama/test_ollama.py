"""``/api/...`` as Ollama's clients speak it; the package itself is run by ``make clients``."""

import json

import httpx
import pytest

from tests.daemon.workers.server.api.conftest import InProcess

CITY = {"type": "object", "properties": {"city": {"enum": ["Köln", "Oslo"]}}, "required": ["city"]}
WEATHER = {"type": "function", "function": {"name": "weather", "description": "It tells it.", "parameters": CITY}}
HELLO = [{"role": "user", "content": "hello"}]
GREEDY = {"temperature": 0, "num_predict": 12}
CHAT = {"model": "thor", "messages": HELLO, "options": GREEDY}


async def said(client: httpx.AsyncClient, path: str, **body: object) -> dict:
    answer = await client.post(path, json={"stream": False, **body})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def lines(client: httpx.AsyncClient, path: str, **body: object) -> list[dict]:
    """A stream, which is what Ollama sends where nothing is said of it."""
    answer = await client.post(path, json=body)
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    return [json.loads(line) for line in answer.text.splitlines()]


@pytest.mark.anyio
async def test_the_answer_is_that_of_a_chat(in_process: InProcess) -> None:
    async with in_process.http() as client:
        messages = [{"role": "system", "content": "Be brief."}, *HELLO]
        options = {"temperature": 0.7, "seed": 5, "top_k": 9, "repeat_penalty": 1.1, "num_predict": 12}
        same = {"temperature": 0.7, "seed": 5, "top_k": 9, "repetition_penalty": 1.1, "max_tokens": 12}
        chat = (await client.post("/v1/chat/completions", json={"messages": messages, **same})).json()
        text = chat["choices"][0]["message"]["content"]
        given = {"model": "thor", "messages": messages, "options": options}
        answer = await said(client, "/api/chat", **given)
        assert answer["message"] == {"role": "assistant", "content": text}
        assert (answer["done"], answer["done_reason"]) == (True, chat["choices"][0]["finish_reason"])
        counted = (answer["prompt_eval_count"], answer["eval_count"])
        assert counted == (chat["usage"]["prompt_tokens"], chat["usage"]["completion_tokens"])
        assert answer["total_duration"] == answer["prompt_eval_duration"] + answer["eval_duration"] > 0
        told = await lines(client, "/api/chat", **given)
        assert "".join(line["message"]["content"] for line in told) == text
        assert [line["done"] for line in told] == [*[False] * (len(told) - 1), True]
        generated = {"model": "thor", "system": "Be brief.", "prompt": "hello", "options": options}
        assert (await said(client, "/api/generate", **generated))["response"] == text
        pieces = await lines(client, "/api/generate", **generated)
        assert "".join(piece["response"] for piece in pieces) == text


@pytest.mark.anyio
async def test_formats_are_kept_to(in_process: InProcess) -> None:
    async with in_process.http() as client:
        options = {"num_predict": 100, "seed": 1}
        for path, asked in (("/api/chat", {"messages": HELLO}), ("/api/generate", {"prompt": "hello"})):
            answer = await said(client, path, model="thor", format=CITY, options=options, **asked)
            text = answer["response"] if path == "/api/generate" else answer["message"]["content"]
            assert set(json.loads(text)) == {"city"}
        anything = await said(client, "/api/chat", **{**CHAT, "format": "json"})
        assert anything["message"]["content"].startswith("{")


@pytest.mark.anyio
async def test_calls_and_their_results_are_read(in_process: InProcess) -> None:
    call = '{"name": "weather", "arguments": {"city": "Oslo"}}'
    async with in_process.http() as client:
        plain = await said(client, "/api/chat", **CHAT)
        told = await said(client, "/api/chat", **{**CHAT, "tools": [WEATHER]})
        assert told["prompt_eval_count"] > plain["prompt_eval_count"]
        function = {"name": "weather", "arguments": {"city": "Oslo"}}
        history = [
            *HELLO,
            {"role": "assistant", "content": "", "tool_calls": [{"function": function}]},
            {"role": "tool", "tool_name": "weather", "content": "rain"},
        ]
        by_hand = [*HELLO, {"role": "assistant", "content": call}, {"role": "tool", "content": "rain"}]
        counts = [
            (await said(client, "/api/chat", **{**CHAT, "messages": each}))["prompt_eval_count"]
            for each in (history, by_hand)
        ]
        assert counts[0] == counts[1]


@pytest.mark.anyio
async def test_what_is_said_of_models(in_process: InProcess) -> None:
    async with in_process.http() as client:
        names = [each["name"] for each in (await client.get("/api/tags")).json()["models"]]
        assert names == ["thor:latest", "thor@000001"]
        assert [each["name"] for each in (await client.get("/api/ps")).json()["models"]] == names
        for name in names:
            shown = (await client.post("/api/show", json={"model": name})).json()
            assert shown["model_info"][f"{shown['details']['family']}.context_length"] == 1024
        assert (await client.get("/api/version")).json()["version"]
        assert (await said(client, "/api/generate", model="thor"))["done_reason"] == "load"
        embedded = (await client.post("/api/embed", json={"model": "thor", "input": ["a", "b"]})).json()
        same = (await client.post("/v1/embeddings", json={"model": "thor", "input": ["a", "b"]})).json()
        assert embedded["embeddings"] == [each["embedding"] for each in same["data"]]


REFUSED: list[tuple[str, str, dict[str, object]]] = [
    ("/api/chat", "options.temperature: ", {"options": {"temperature": -1}}),
    ("/api/chat", "options.num_predict: ", {"options": {"num_predict": -7}}),
    ("/api/chat", "options.mirostat is not supported", {"options": {"mirostat": 2}}),
    ("/api/chat", "options.repeat_last_n is not supported", {"options": {"repeat_last_n": 64}}),
    ("/api/chat", "messages.0.images is not supported", {"messages": [{"role": "user", "images": ["x"]}]}),
    ("/api/chat", "think is not supported", {"think": True}),
    ("/api/chat", "format: ", {"format": {"uniqueItems": True}}),
    ("/api/generate", "raw is not supported", {"prompt": "a", "raw": True}),
    ("/api/generate", "suffix is not supported", {"prompt": "a", "suffix": "b"}),
]


@pytest.mark.anyio
async def test_errors_have_the_shape_of_ollamas(in_process: InProcess) -> None:
    async with in_process.http() as client:
        for path, says, body in REFUSED:
            answer = await client.post(path, json={**CHAT, **body})
            assert answer.status_code == 400, (body, answer.text)
            assert answer.json()["error"].startswith(says), answer.text
        lost = await client.post("/api/chat", json={**CHAT, "model": "llama3"})
        assert (lost.status_code, "thor" in lost.json()["error"]) == (404, True)
        harmless = {"num_ctx": 4096, "num_thread": 4, "repeat_last_n": -1, "num_predict": 1}
        accepted = await client.post(
            "/api/chat", json={**CHAT, "options": harmless, "keep_alive": "5m", "think": False}
        )
        assert accepted.status_code == 200
        assert "x-thord-ignored-fields" not in accepted.headers

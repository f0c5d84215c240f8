"""What is wrong with a request of any API is a 4xx in the shape of that API; what fails in the server, a 500 in it."""

import json

import pytest

from daemon.workers.server.chats.responses import Responses
from tests.daemon.workers.server.api.conftest import InProcess

pytestmark = pytest.mark.anyio
MESSAGES, COUNT, CHAT, EMBED, RESPONSES = (
    *("/v1/messages", "/v1/messages/count_tokens"),
    *("/api/chat", "/api/embed", "/v1/responses"),
)
USE = {"type": "tool_use", "id": "a", "name": "f", "input": {}}
HELLO = {"role": "user", "content": "a"}
CALL = {"function": {"name": "f"}}
CASES: list[tuple[str, dict[str, object], str]] = [
    (MESSAGES, {"messages": [{"role": "user", "content": []}]}, "messages: they say nothing"),
    (MESSAGES, {"messages": [{"role": "assistant", "content": [{"type": "thinking"}]}]}, "messages: they say nothing"),
    (COUNT, {"messages": [{"role": "user", "content": []}]}, "messages: they say nothing"),
    (MESSAGES, {"messages": [HELLO, {"role": "assistant", "content": [USE] * 129}]}, "tool_calls"),
    (MESSAGES, {"messages": [HELLO], "tools": [{"name": "f", "input_schema": {"type": "string"}}]}, "object"),
    (CHAT, {"messages": [{"role": "assistant", "tool_calls": [CALL] * 129}]}, "tool_calls"),
    (CHAT, {"messages": [HELLO], "format": {"type": 5}}, "format"),
    (CHAT, {"messages": [HELLO], "options": {"seed": 10**30}}, "options.seed"),
    (CHAT, {"messages": [HELLO], "options": {"stop": ["a"] * 17}}, "options.stop"),
    (EMBED, {"input": "a", "options": {"mirostat": 2}}, "options.mirostat"),
    (RESPONSES, {"input": "a", "metadata": {"k" * 65: "v"}}, "metadata"),
    (RESPONSES, {"input": "a", "metadata": {"k": "v" * 513}}, "metadata"),
    (RESPONSES, {"input": "a", "tool_choice": "required"}, "tool_choice"),
]


@pytest.mark.parametrize(("path", "given", "says"), CASES)
async def test_it_is_refused_and_named(in_process: InProcess, path: str, given: dict[str, object], says: str) -> None:
    needed = {MESSAGES: {"max_tokens": 1}, CHAT: {"model": "thor"}, EMBED: {"model": "thor"}}
    async with in_process.http() as client:
        answer = await client.post(path, json={**needed.get(path, {}), **given})
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert says in (error if path.startswith("/api/") else error["message"])


async def test_a_failure_of_the_server_has_the_shape_of_the_api(
    in_process: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a secret of the server")

    for name in ("api.ollama.routes.chat_of", "api.anthropic.routes.as_chat", "api.responses.routes.as_chat"):
        monkeypatch.setattr(f"daemon.workers.server.{name}", broken)
    asked = ((MESSAGES, {"max_tokens": 1}), (CHAT, {"model": "thor"}), (RESPONSES, {"input": "a"}))
    async with in_process.http() as client:
        for path, needed in asked:
            given = needed if path == RESPONSES else {**needed, "messages": [HELLO]}
            answer = await client.post(path, json=given)
            assert answer.status_code == 500
            assert "its log says why" in json.dumps(answer.json()["error"])
            assert "secret" not in answer.text


async def test_a_response_is_read_once_however_many_of_its_items_are_named(
    in_process: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[str] = []
    get = Responses.get

    async def counted(self: Responses, owner: str, name: str) -> object:
        reads.append(name)
        return await get(self, owner, name)

    monkeypatch.setattr(Responses, "get", counted)
    async with in_process.openai() as client:
        first = await client.responses.create(model="thor", input="a", max_output_tokens=1)
        items = [{"type": "item_reference", "id": first.output[0].id}] * 20
        await client.responses.create(model="thor", input=[*items, HELLO], max_output_tokens=1)
    assert reads == [first.id]

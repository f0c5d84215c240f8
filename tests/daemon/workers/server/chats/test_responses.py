"""Responses that a later request goes on from: which turns come before it, whatever happened to others."""

from pathlib import Path

import pytest

from daemon.settings.sections import SessionSettings
from daemon.workers.server.chats import responses as responses_module
from daemon.workers.server.chats.database import ChatDatabase
from daemon.workers.server.chats.responses import Responses
from daemon.workers.server.chats.sessions import Sessions
from daemon.workers.server.errors import ApiError
from engine.data.samples import Message, ToolCall

pytestmark = pytest.mark.anyio


@pytest.fixture
def sessions(tmp_path: Path) -> Sessions:
    return Sessions(ChatDatabase(tmp_path / "chats.db"), SessionSettings(max_per_client=2))


@pytest.fixture
def responses(sessions: Sessions) -> Responses:
    return Responses(sessions)


def turn(word: str) -> list[Message]:
    return [Message("user", word), Message("assistant", word.upper())]


async def said(responses: Responses, name: str, after: str | None, word: str, owner: str = "ann") -> None:
    earlier = None if after is None else await responses.find(owner, after)
    await responses.add(owner, name, earlier, turn(word), 1, {"id": name, "previous_response_id": after})


async def words(responses: Responses, name: str) -> str:
    return "".join(message.content for message in (await responses.find("ann", name)).messages[::2])


async def test_each_goes_on_from_what_it_names(sessions: Sessions, responses: Responses) -> None:
    for name, after, word in (("r1", None, "a"), ("r2", "r1", "b"), ("r3", "r2", "c"), ("side", "r1", "x")):
        await said(responses, name, after, word)
    await said(responses, "r4", "r3", "d")
    await said(responses, "side2", "side", "y")
    assert [await words(responses, name) for name in ("r1", "r2", "r4", "side2")] == ["a", "ab", "abcd", "axy"]
    assert [each["id"] for each in await sessions.list("ann")] == ["side", "r1"], "one each, named by its first"
    assert await responses.get("ann", "r2") == {"id": "r2", "previous_response_id": "r1"}


async def test_two_may_follow_the_same_at_once(responses: Responses) -> None:
    await said(responses, "r1", None, "a")
    earlier = await responses.find("ann", "r1")
    for name in ("left", "right"):
        await responses.add("ann", name, earlier, turn(name), 1, {})
    assert [await words(responses, name) for name in ("left", "right")] == ["aleft", "aright"]


async def test_nobody_sees_those_of_others(responses: Responses) -> None:
    await said(responses, "r1", None, "a", owner="bob")
    for call in (responses.find, responses.get, responses.delete):
        with pytest.raises(ApiError, match="no response 'r1'"):
            await call("ann", "r1")
    assert await responses.get("bob", "r1")


async def test_what_was_said_goes_with_the_last_that_follows(sessions: Sessions, responses: Responses) -> None:
    for name, after, word in (("r1", None, "a"), ("r2", "r1", "b")):
        await said(responses, name, after, word)
    await responses.delete("ann", "r1")
    assert await words(responses, "r2") == "ab"
    with pytest.raises(ApiError):
        await responses.find("ann", "r1")
    earlier = await responses.find("ann", "r2")
    await responses.delete("ann", "r2")
    assert await sessions.list("ann") == []
    with pytest.raises(ApiError, match="no response 'r2'"):
        await responses.add("ann", "r3", earlier, turn("c"), 1, {})


async def test_the_end_of_a_chain_goes_alone(sessions: Sessions, responses: Responses) -> None:
    for name, after, word in (("r1", None, "a"), ("r2", "r1", "b")):
        await said(responses, name, after, word)
    await responses.delete("ann", "r2")
    (kept,) = await sessions.list("ann")
    assert (kept["message_count"], kept["bytes"]) == (2, 2)
    assert await words(responses, "r1") == "a"


async def test_responses_do_not_push_out_named_sessions(sessions: Sessions, responses: Responses) -> None:
    await sessions.add(await sessions.find("ann", "mine"), turn("hello"), 1)
    for number in range(4):
        await said(responses, f"r{number}", None, "a")
    assert [each["id"] for each in await sessions.list("ann")] == ["r3", "r2", "mine"]


async def test_calls_and_their_results_are_kept_for_templates(sessions: Sessions, responses: Responses) -> None:
    call = ToolCall("weather", {"city": "Oslo"}, "call_1")
    turns = [
        Message("user", "Oslo?"),
        Message("assistant", "I look.", (call,)),
        Message("tool", "rain", (), "weather", "call_1"),
        Message("assistant", "It rains."),
    ]
    await responses.add("ann", "r1", None, turns, 3, {})
    assert (await responses.find("ann", "r1")).messages == tuple(turns)
    shown = (await sessions.describe("ann", "r1"))["messages"]
    assert shown[1]["content"] == 'I look.\n{"name": "weather", "arguments": {"city": "Oslo"}}'


async def test_what_stands_beside_little_text_is_bounded_too(
    responses: Responses, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(responses_module, "MAX_BODIES", 1000)
    await said(responses, "a", None, "x")
    for before, name in ("ab", "bc"):
        await responses.add("ann", name, await responses.find("ann", before), turn("y"), 1, {"tools": "t" * 400})
    with pytest.raises(ApiError, match="begin another") as full:
        await responses.add("ann", "d", await responses.find("ann", "c"), turn("y"), 1, {"tools": "t" * 400})
    assert full.value.status == 400
    with pytest.raises(ApiError, match="no response"):
        await responses.find("ann", "d")
    assert await words(responses, "c") == "xyy", "nothing of it was kept"

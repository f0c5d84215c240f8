"""Chats that the server remembers, against the same chats sent whole."""

import sqlite3
from pathlib import Path

import openai
import pytest

from daemon.settings.sections import SessionSettings
from daemon.workers.server.chats.database import MIGRATIONS, ChatDatabase
from daemon.workers.server.chats.sessions import Session, Sessions
from daemon.workers.server.errors import ApiError
from engine.data.samples import Message as Turn
from tests.daemon.workers.server.harness import Server, StartServer, greedy, server_settings

GREEDY = {"model": "thor", "temperature": 0, "max_tokens": 12, "ignore_eos": True}


def said(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def ask(server: Server, session: str, text: str, key: str | None = None, **more: object) -> dict:
    with server.http(key) as client:
        body = {**GREEDY, "session": session, "messages": said(text), **more}
        return client.post("/v1/chat/completions", json=body).json()


def stream_until_finished(server: Server, session: str, text: str) -> None:
    """Hang up as soon as the answer is said to be whole."""
    body = {**GREEDY, "session": session, "messages": said(text), "stream": True}
    with server.http() as client, client.stream("POST", "/v1/chat/completions", json=body) as answer:
        for line in answer.iter_lines():
            if '"finish_reason":"length"' in line:
                return
    raise AssertionError("it never finished")


def history(server: Server, session: str, key: str | None = None) -> list[dict[str, str]]:
    with server.http(key) as client:
        return client.get(f"/v1/sessions/{session}").json()["messages"]


def test_a_session_survives_kill_and_follows_a_swap(start_server: StartServer) -> None:
    server = start_server()
    first = ask(server, "ann", "The quick")["choices"][0]["message"]["content"]
    stream_until_finished(server, "ann", "brown fox")
    server.worker.kill()

    server = start_server()
    server.publish(2)
    server.promote(2)
    last = ask(server, "ann", "jumps")
    kept = history(server, "ann")
    assert [turn["content"] for turn in kept[:3]] == ["The quick", first, "brown fox"]
    assert [turn.get("version") for turn in kept] == [None, "000001", None, "000001", None, "000002"]
    turns = [Turn(turn["role"], turn["content"]) for turn in kept[:-1]]
    expected = server.tokenizer.decode(greedy(server.load(2), server.chat_prompt(*turns), 12))
    assert last["choices"][0]["message"]["content"] == kept[-1]["content"] == expected
    assert last["system_fingerprint"] == "000002"


def test_sessions_are_listed_and_deleted(steady: Server) -> None:
    client = steady.openai()
    for name in ("one", "two"):
        client.chat.completions.create(
            model="thor", messages=said("hello"), max_tokens=3, extra_body={"session": f"list-{name}"}
        )
    with steady.http() as http:
        listed = http.get("/v1/sessions").json()
        assert listed["object"] == "list"
        assert [each["id"] for each in listed["data"][:2]] == ["list-two", "list-one"]
        assert listed["data"][0]["message_count"] == 2
        assert http.delete("/v1/sessions/list-one").json() == {"id": "list-one", "object": "session", "deleted": True}
        for answer in (http.get("/v1/sessions/list-one"), http.delete("/v1/sessions/list-one")):
            assert (answer.status_code, answer.json()["error"]["code"]) == (404, "session_not_found")
    with pytest.raises(openai.BadRequestError, match="n: a session"):
        client.chat.completions.create(model="thor", messages=said("a"), n=2, extra_body={"session": "many"})
    with pytest.raises(openai.BadRequestError, match="session"):
        client.chat.completions.create(model="thor", messages=said("a"), extra_body={"session": "../x"})


def test_the_later_of_two_turns_at_once_is_refused(steady: Server) -> None:
    """Which of them ends first is not ours to say: on a busy machine the long one may, even before the other begins.

    The test is over as soon as the short one was the first.
    """

    def one_overtakes_the_other(session: str) -> bool:
        body = {**GREEDY, "session": session, "messages": said("slow"), "stream": True, "max_tokens": 150}
        with steady.http() as client, client.stream("POST", "/v1/chat/completions", json=body) as answer:
            lines = answer.iter_lines()
            next(lines)
            quick = ask(steady, session, "quick")
            last = list(filter(None, lines))[-1]
        kept = [turn["content"] for turn in history(steady, session)[::2]]
        refused = ["quick"] if "error" in quick else []
        refused += ["slow"] if "session_changed" in last else []
        assert (kept, refused) in [(["quick"], ["slow"]), (["slow", "quick"], []), (["slow"], ["quick"])]
        if "quick" in kept:
            assert quick["choices"][0]["finish_reason"] == "length"
        else:
            assert quick["error"]["code"] == "session_changed"
        return kept == ["quick"]

    assert any(one_overtakes_the_other(f"both-{attempt}") for attempt in range(20))


def test_a_long_session_goes_on_from_what_was_said_last(steady: Server) -> None:
    """The context is 192 tokens."""
    texts = [f"{number} lazy dogs jump over the fox" for number in range(9)]
    answers = [ask(steady, "long", text) for text in texts]
    assert all(answer["usage"]["completion_tokens"] == 12 for answer in answers)
    kept = history(steady, "long")
    assert [turn["content"] for turn in kept[::2]] == texts
    turns = [Turn(turn["role"], turn["content"]) for turn in kept[:-1]]
    fitting = next(turns[n:] for n in range(0, 18, 2) if len(steady.chat_prompt(*turns[n:])) <= 192 - 12)
    assert len(fitting) < len(turns)
    assert answers[-1]["usage"]["prompt_tokens"] == len(steady.chat_prompt(*fitting))
    assert kept[-1]["content"] == steady.tokenizer.decode(greedy(steady.load(1), steady.chat_prompt(*fitting), 12))


def test_a_client_sees_only_its_own_and_keeps_only_so_many(start_server: StartServer, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("anns-key\nbobs-key\n")
    tables = {"api": {"keys_file": str(tmp_path / "keys")}, "sessions": {"max_per_client": 2}}
    server = start_server(settings=server_settings(**tables))
    ask(server, "bobs", "hello", "bobs-key", max_tokens=1)
    for name in ("first", "second", "third"):
        ask(server, name, "hello", "anns-key", max_tokens=1)

    def names(key: str) -> list[str]:
        with server.http(key) as client:
            return [each["id"] for each in client.get("/v1/sessions").json()["data"]]

    assert names("anns-key") == ["third", "second"]
    assert names("bobs-key") == ["bobs"]
    with server.http("bobs-key") as client:
        assert client.get("/v1/sessions/third").status_code == client.delete("/v1/sessions/third").status_code == 404
    kept = b"".join(file.read_bytes() for file in tmp_path.glob("chats.db*"))
    assert b"hello" in kept
    for trace in (b"anns-key", b"bobs-key"):
        assert trace not in kept + server.worker.log.encode()
    assert (tmp_path / "chats.db").stat().st_mode & 0o077 == 0
    with sqlite3.connect(tmp_path / "chats.db") as database:
        database.execute("UPDATE sessions SET updated_at = updated_at - 31 * 86400 WHERE id = 'third'")
    database.close()
    assert names("anns-key") == ["second"]


@pytest.mark.anyio
async def test_a_file_that_cannot_be_used_is_left_alone_and_said_to_be(tmp_path: Path) -> None:
    newer = tmp_path / "chats.db"
    with sqlite3.connect(newer) as database:
        database.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    database.close()
    for file, why in ((newer, "newer thord"), (tmp_path / "no such folder" / "chats.db", "No such file")):
        with pytest.raises(ApiError, match=why) as refused:
            await Sessions(ChatDatabase(file), SessionSettings()).find("", "ann")
        assert (refused.value.status, refused.value.code) == (503, "chats_unavailable")


@pytest.mark.anyio
async def test_a_damaged_file_is_put_aside_and_chats_begin_anew(tmp_path: Path) -> None:
    file = tmp_path / "chats.db"
    file.write_bytes(b"no database" * 500)
    sessions = Sessions(ChatDatabase(file), SessionSettings())

    async def talk() -> Session:
        await sessions.add(await sessions.find("", "ann"), [Turn("user", "hello"), Turn("assistant", "hi")], 1)
        return await sessions.find("", "ann")

    assert len((await talk()).messages) == 2
    (aside,) = tmp_path.glob("chats.db.damaged-*")
    assert aside.read_bytes().startswith(b"no database")


@pytest.mark.anyio
async def test_names_and_ids_count_as_text(tmp_path: Path) -> None:
    """A template may leave them out of the prompt, and then nothing else bounds them."""
    sessions = Sessions(ChatDatabase(tmp_path / "chats.db"), SessionSettings())
    for more in ({"name": "n" * (1 << 20)}, {"tool_call_id": "n" * (1 << 20)}):
        with pytest.raises(ApiError, match="begin another"):
            await sessions.add(await sessions.find("", "a"), [Turn("user", "x", **more), Turn("assistant", "y")], 1)
    assert await sessions.list("") == []

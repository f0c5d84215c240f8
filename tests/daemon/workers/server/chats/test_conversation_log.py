"""What people say to the model, on its way to be learned: read back as the intake reads it."""

import contextlib
import io
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from daemon.messages import Collect, Collected, Scan, Scanned
from daemon.settings.sections import Tables
from engine.data import snapshot
from engine.data.readers.items import Found
from engine.data.readers.read import read_known
from engine.data.records.limits import Limits
from engine.data.records.text import clean
from engine.data.samples import Conversation, Dialogue, Message, Preference, Sample
from tests.daemon.workers.server.harness import Server, StartServer, Worker, greedy, server_settings

PATIENT = 1000.0


def logging(feedback_seconds: float, **more: object) -> Tables:
    return server_settings(
        conversation_log={"enabled": True, "feedback_seconds": feedback_seconds, **more},
        data={"settle_seconds": 0.2, "min_conversations": 1},
    )


def ask(server: Server, text: str, *, ended: bool = True, key: str | None = None, **more: object) -> dict:
    """An answer that ends by itself: at the end of what greedy decoding says first."""
    said = server.tokenizer.decode(greedy(server.load(1), server.chat_prompt(Message("user", text)), 10))
    body = {"messages": [{"role": "user", "content": text}], "temperature": 0, "max_tokens": 10, "ignore_eos": True}
    with server.http(key) as client:
        stop = said[-3:] if ended else None
        return client.post("/v1/chat/completions", json={**body, "stop": stop, **more}).json()


def judge(server: Server, answer: dict, **feedback: str) -> dict:
    with server.http() as client:
        return client.post("/v1/feedback", json={"id": answer["id"], **feedback}).json()


def in_inbox(home: Path) -> list[Conversation]:
    """The dialogues that are to be learned."""
    return [sample for sample in all_in_inbox(home) if isinstance(sample, Dialogue)]


def all_in_inbox(home: Path) -> list[Sample]:
    found = []
    for file in sorted((home / "inbox").rglob("[!.]*.jsonl")):
        items = list(read_known(io.BytesIO(file.read_bytes()), Limits()))
        assert all(isinstance(item, Found) for item in items)
        found += [item.sample for item in items]
    return found


def await_inbox(home: Path, count: int) -> list[Conversation]:
    deadline = time.monotonic() + 20
    while len(found := in_inbox(home)) < count:
        assert time.monotonic() < deadline, found
        time.sleep(0.02)
    return found


def dialogue(*words: str) -> Conversation:
    roles = ("user", "assistant")
    return Dialogue(tuple(Message(roles[n % 2], clean(word)) for n, word in enumerate(words)))


def text_of(answer: dict) -> str:
    return answer["choices"][0]["message"]["content"]


def test_nothing_is_kept_unless_it_is_wished(steady: Server, tmp_path: Path) -> None:
    answer = ask(steady, "hello")
    assert judge(steady, answer, rating="up")["error"]["code"] == "answer_not_found"
    assert not list(steady.paths.inbox.rglob("*")) if steady.paths.inbox.exists() else True
    assert not (steady.paths.chats.exists() and b"hello" in steady.paths.chats.read_bytes())


def test_answers_are_learned_by_the_next_cycle_and_kill_loses_none(
    start_server: StartServer, spawn_worker: Callable[..., Worker], tmp_path: Path
) -> None:
    server = start_server(settings=logging(PATIENT, redact=(r"\S+@\S+",)))
    answers = [ask(server, f"{number}: mail ann@example.org about the fox") for number in range(3)]
    first = ask(server, "hello", session="ann")
    second = ask(server, "and now?", session="ann", stop=[" ", "e", "a", "o"], max_tokens=90)
    server.worker.kill()
    assert not in_inbox(tmp_path)
    with contextlib.closing(sqlite3.connect(tmp_path / "chats.db")) as database, database:
        assert [wait for (wait,) in database.execute("SELECT DISTINCT round(due_at - at) FROM answers")] == [PATIENT]
        database.execute("UPDATE answers SET due_at = at")
    settings = logging(0.2, redact=(r"\S+@\S+",))
    server = start_server(settings=settings)
    intake = spawn_worker("intake", tmp_path, settings)
    expected = [
        dialogue(f"{number}: mail [redacted] about the fox", text_of(each)) for number, each in enumerate(answers)
    ]
    expected += [dialogue("hello", text_of(first)), dialogue("hello", text_of(first), "and now?", text_of(second))]
    assert await_inbox(tmp_path, 5) == expected
    intake.ask(Scan(), Scanned)
    assert intake.ask(Collect(cycle=1, limit=100, minimum=1), Collected).conversations >= 1
    folder = tmp_path / "snapshots/000001"
    examples = [*snapshot.train_examples(folder), *snapshot.held_out_examples(folder)]
    assert {each.sample.identity for each in examples} == {each.identity for each in (*expected[:3], expected[4])}
    for file in tmp_path.rglob("*"):
        assert not file.is_file() or b"ann@example.org" not in file.read_bytes(), file
    nobody_says_more = ask(server, "later")
    assert await_inbox(tmp_path, 6)[5:] == [dialogue("later", text_of(nobody_says_more))]


def test_feedback_decides_what_is_learned(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server(settings=logging(PATIENT))
    good, bad, mended, waits, cut = (
        ask(server, text, ended=text != "cut") for text in ("good", "bad", "mended", "waits", "cut")
    )
    assert judge(server, good, rating="up")["learned"]
    assert not judge(server, bad, rating="down")["learned"]
    assert judge(server, mended, edit="Better.")["learned"]
    assert not judge(server, cut, rating="up")["learned"]
    found = await_inbox(tmp_path, 2)
    assert found == [dialogue("good", text_of(good)), dialogue("mended", "Better.")]
    assert judge(server, good, rating="up", edit="Better still.")["learned"]  # it had been learned already
    assert judge(server, cut, edit="Whole.")["learned"]
    assert await_inbox(tmp_path, 4)[2:] == [dialogue("good", "Better still."), dialogue("cut", "Whole.")]
    assert judge(server, {"id": "chatcmpl-none"}, rating="up")["error"]["code"] == "answer_not_found"
    assert judge(server, waits)["error"]["type"] == "invalid_request_error"
    assert judge(server, waits, edit=" \n")["error"]["param"] == "edit", "no answer is not a better one"
    first, *others = (sample for sample in all_in_inbox(tmp_path) if isinstance(sample, Preference))
    assert [[m.content for m in each.messages] for each in first.answers] == [["Better."], [text_of(mended)]]
    assert [each.answers[0].messages[0].content for each in others] == ["Better still.", "Whole."]
    assert first.provenance.origin == "feedback"

"""Redactors of a real package, as pip leaves it on disk: what they take out, or fail at, never reaches it."""

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.settings.sections import Tables
from daemon.workers.server.chats.redaction import Redaction, UnredactedError
from tests.daemon.workers.server.chats.test_conversation_log import (
    PATIENT,
    ask,
    await_inbox,
    dialogue,
    in_inbox,
    judge,
    logging,
    text_of,
)
from tests.daemon.workers.server.harness import Server, StartServer, server_settings
from tests.daemon.workers.server.test_serving import metric

MODULE = """
import os

def first(text):
    assert "@" not in text, "regular expressions come first"
    return text.replace("Ann", "somebody")

class Second:
    def __init__(self):
        self.what = "somebody"

    def __call__(self, text):
        return text.replace(self.what, "[name]")

def strict(text):
    if "RAISE" in text:
        raise ValueError(text)
    if "QUIT" in text:
        raise SystemExit(text)
    return None if "NOTHING" in text else text

def patient(text):
    if "WAIT" in text:
        open(os.environ["GATE"]).read()
    return text

NUMBER = 7
"""
POINTS = {"a": "discreet:first", "b": "discreet:Second", "c": "discreet:strict", "d": "discreet:patient"}
Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """``install(name="module:attribute")``: what a server that is started finds, and this process too."""
    site = tmp_path / "site"
    described = site / "discreet-1.0.dist-info"
    described.mkdir(parents=True)
    (site / "discreet.py").write_text(MODULE)
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: discreet\nVersion: 1.0\n")
    monkeypatch.setenv("PYTHONPATH", str(site))
    monkeypatch.setenv("GATE", str(tmp_path / "gate"))
    monkeypatch.syspath_prepend(site)

    def write(**points: str) -> None:
        lines = [f"{name} = {value}\n" for name, value in points.items()]
        (described / "entry_points.txt").write_text("[thord.redactors]\n" + "".join(lines))

    return write


def on_disk(home: Path, secret: str) -> list[Path]:
    files = [file for file in home.rglob("*") if file.is_file() and "site" not in file.parts]
    return [file for file in files if secret.encode() in file.read_bytes()]


async def redacted_at_last(found: Redaction, text: str) -> list[str]:
    """Once the thread has noticed that it may go on."""
    while True:
        with contextlib.suppress(UnredactedError):
            return await found.of([text])
        await asyncio.sleep(0)


def redact(*texts: str) -> list[str]:
    return asyncio.run(Redaction().of(texts))


def test_what_they_take_out_or_fail_at_is_nowhere_on_disk(
    start_server: StartServer, tmp_path: Path, install: Install
) -> None:
    install(**dict(reversed(POINTS.items())))
    server = start_server(settings=logging(PATIENT, redact=(r"\S+@\S+",)))
    kept = ask(server, "I am Ann, mail ann@example.org")
    failed = [ask(server, f"{word} is secret-{word}") for word in ("RAISE", "QUIT", "NOTHING")]
    assert all(text_of(each) for each in failed), "their clients have answers nevertheless"
    assert not any(judge(server, each, rating="up").get("learned") for each in failed)
    mended = ask(server, "a question")
    assert not judge(server, mended, edit="RAISE secret-edit")["learned"], "the answer is wrong without its edit"
    assert judge(server, kept, edit="Ann says better.")["learned"]
    assert await_inbox(tmp_path, 1) == [dialogue("I am [name], mail [redacted]", "[name] says better.")]
    for secret in ("Ann", "ann@", "secret-RAISE", "secret-QUIT", "secret-NOTHING", "secret-edit"):
        assert not on_disk(tmp_path, secret), secret
    assert metric(server, "thord_server_unredacted_answers_total") == 4
    assert "redactor c failed: ValueError" in server.worker.log
    assert "redactor c returned no text, but NoneType" in server.worker.log


def test_a_slow_one_holds_up_nobody_else(start_server: StartServer, tmp_path: Path, install: Install) -> None:
    os.mkfifo(tmp_path / "gate")
    install(**POINTS)
    server = start_server(settings=logging(0.0))
    answers: list[dict] = []
    asker = threading.Thread(target=lambda: answers.append(ask(server, "WAIT")))
    asker.start()
    gate = os.open(tmp_path / "gate", os.O_WRONLY)  # returns once the hook has opened its end, and waits for this one
    with server.http() as client:
        assert client.get("/healthz").status_code == 200
        assert client.post("/v1/completions", json={"prompt": "a", "max_tokens": 1}).status_code == 200
    assert not answers
    os.close(gate)
    asker.join()
    assert await_inbox(tmp_path, 1) == [dialogue("WAIT", text_of(answers[0]))]


def test_where_one_cannot_be_used_nothing_is_kept_and_that_is_said(
    start_server: StartServer, tmp_path: Path, install: Install
) -> None:
    install(gone="nowhere:redact")
    server = start_server(settings=logging(0.0))
    assert text_of(ask(server, "my secret-word"))
    assert "redactor gone (nowhere:redact) cannot be used: No module named 'nowhere'" in server.worker.log
    assert "no conversation is kept until every redactor works" in server.worker.log
    assert metric(server, "thord_server_unredacted_answers_total") == 1
    assert not in_inbox(tmp_path)
    assert not on_disk(tmp_path, "secret-word")


def test_nobody_is_asked_where_nothing_is_kept(start_server: StartServer, install: Install) -> None:
    install(gone="nowhere:redact")
    server: Server = start_server(settings=server_settings())
    assert text_of(ask(server, "hello"))
    assert "redactor" not in server.worker.log


@pytest.mark.anyio
async def test_what_takes_too_long_is_not_kept_nor_waited_for_again(tmp_path: Path, install: Install) -> None:
    os.mkfifo(tmp_path / "gate")
    install(**POINTS)
    found = Redaction(most_seconds=0.2)
    with pytest.raises(UnredactedError, match="took longer"):
        await found.of(["WAIT"])
    with pytest.raises(UnredactedError, match="still busy with an earlier text"):
        await found.of(["behind it"])
    os.close(await asyncio.to_thread(os.open, tmp_path / "gate", os.O_WRONLY))
    assert await redacted_at_last(found, "Ann again") == ["[name] again"]


@pytest.mark.anyio
async def test_a_regular_expression_without_end_is_given_up_and_stops_nothing_else() -> None:
    endless = "a" * 60 + "!"
    found = Redaction(most_seconds=1.0)
    found.apply([r"(a|aa)+$"])
    work = asyncio.ensure_future(found.of([endless]))
    turns = 0
    while not work.done():
        await asyncio.sleep(0.001)
        turns += 1
    assert turns > 50, "of the event loop, that is of every other request"
    with pytest.raises(UnredactedError, match="longer than 1 seconds") as refused:
        await work
    assert endless not in str(refused.value)
    assert await redacted_at_last(found, "b aaa") == ["b [redacted]"]


def test_one_that_is_none_is_refused_by_name(install: Install) -> None:
    install(number="discreet:NUMBER")
    with pytest.raises(
        UnredactedError, match=r"redactor number \(discreet:NUMBER\) cannot be used: it cannot be called"
    ):
        redact("text")


def test_the_example_of_the_documentation_redacts(tmp_path: Path, install: Install) -> None:
    page = (Path(__file__).parents[5] / "docs/serving.md").read_text()
    (tmp_path / "site/people.py").write_text(page.split("```python\n")[1].split("```")[0])
    name, value = page.split('"thord.redactors"]\n')[1].split("\n")[0].split(" = ")
    install(**{name: value.strip('"')})
    assert redact("Bob and Ann") == ["[name] and [name]"]


@pytest.mark.anyio
async def test_without_any_only_the_settings_count() -> None:
    found = Redaction()
    found.apply(Tables.model_validate({"conversation_log": {"redact": ("[0-9]+",)}}).conversation_log.redact)
    assert await found.of(["number 12", "none"]) == ["number [redacted]", "none"]

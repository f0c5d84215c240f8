"""Mistakes and malice: a clear error in the right place, nothing stops, nothing is lost."""

import contextlib
import json
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.text import Dialogue, to_json_lines
from tests.e2e.service import BIN, Service, running


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A thord that runs on while every test of this file does its worst to it."""
    with running(tmp_path_factory.mktemp("steady") / "home") as started:
        yield started


def thord(*words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **environment}
    return subprocess.run([BIN / "thord", *map(str, words)], check=False, capture_output=True, text=True, env=env)


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("[training]\nlearning_rte = 1\n", "did you mean learning_rate?"),
        ("[training\n", "not valid TOML"),
        ("[api]\nport = 'x'\n", "api.port"),
    ],
)
def test_bad_settings_end_with_status_2_and_no_traceback(stopped: Service, toml: str, said: str) -> None:
    (stopped.home / "thord.toml").write_text(toml)
    for done in (thord("--home", stopped.home, "--check"), thord("--home", stopped.home), stopped.ctl("start")):
        assert done.returncode == 2, done
        assert said in done.stdout + done.stderr
        assert "Traceback" not in done.stderr


def test_a_second_thord_on_the_same_home_is_refused(steady: Service) -> None:
    done = thord("--home", steady.home)
    assert done.returncode == 1
    assert str(steady.pid()) in done.stderr
    assert steady.status()["state"] == "ready"


def test_a_port_in_use_is_named(stopped: Service) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = thord("--home", stopped.home, "--set", f"api.port={port}")
    assert done.returncode == 1
    assert str(port) in done.stderr
    assert "Traceback" not in done.stderr


def test_a_home_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = thord("--home", tmp_path / "file" / "home")
    assert done.returncode == 1
    assert str(tmp_path / "file") in done.stderr
    assert "Traceback" not in done.stderr


def test_hostile_files_end_in_quarantine_and_the_rest_is_learned(steady: Service, library: list[Dialogue]) -> None:
    inbox = steady.home / "inbox/chats"
    hostile = {
        "deep.json": b"[" * 100_000,
        "huge-number.json": b'{"messages": [{"role": "user", "content": ' + b"9" * 10_000 + b"}]}",
        "surrogate.json": b'[{"role": "user", "content": "\\ud800"}, {"role": "assistant", "content": 7}]',
        "not-utf8.json": b'{"text": "\xff\xfe\xfa"}',
        "binary.jsonl": bytes(range(256)) * 64,
        "unknown.json": b'{"a": {"b": 1}}',
        "half.json": b'{"messages": [{"role": "user", "content": "hello"',
    }
    for name, content in hostile.items():
        (inbox / name).write_bytes(content)
    with (inbox / "long-line.jsonl").open("wb") as file:
        file.write(b'{"text": "')
        for _ in range(200):
            file.write(b"x" * (1 << 20))
        file.write(b'"}\n')
    os.mkfifo(inbox / "pipe.json")
    (inbox / "loop").symlink_to(inbox)
    (inbox / "nowhere.json").symlink_to(inbox / "absent")
    (inbox / "folder.json").mkdir()
    found = steady.ingest("library", library[:50])
    assert found["added"] >= 50
    refused = steady.json("quarantine")
    assert isinstance(refused, list)
    named = {Path(entry["file"]).name for entry in refused}
    assert named >= {*hostile, "long-line.jsonl"} - {"surrogate.json"}, named
    assert all(entry["reason"] for entry in refused)
    assert steady.status()["state"] == "ready"
    workers = steady.status()["workers"]
    assert isinstance(workers, dict)
    assert workers["intake"]["restarts"] == 0
    for name, content in hostile.items():
        assert (inbox / name).read_bytes() == content, "what a user put there is not touched"


REQUESTS = (
    b"\x00\xff\xfe garbage\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"POST /v1/cycles HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n{{{{{",
    b"POST /v1/cycles HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
    b"GET /v1/cycles/999999999999999999999999 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /v1/status HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 200_000 + b"\r\n\r\n",
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 7\r\n\r\n[[[[[[[",
    b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n",
)


def test_any_bytes_on_either_socket_end_as_a_4xx_or_a_closed_connection(steady: Service) -> None:
    for name in ("control.sock", "server.sock"):
        for sent in REQUESTS:
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(10)
                client.connect(str(steady.home / "run" / name))
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    client.sendall(sent)
                    client.shutdown(socket.SHUT_WR)
                try:
                    answer = client.recv(65_536)
                except ConnectionResetError:
                    answer = b""
            assert not answer or answer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 503")), (name, sent[:80], answer[:300])
    assert steady.status()["state"] == "ready"


def test_commands_without_a_service_say_so_with_status_3(stopped: Service) -> None:
    for words in (("status",), ("cycles",), ("train",), ("versions",)):
        done = stopped.ctl(*words)
        assert done.returncode == 3, (words, done)
        assert "not running" in done.stderr
        as_json = stopped.ctl(*words, "--json")
        assert json.loads(as_json.stdout or as_json.stderr)["error"]["code"]


def test_things_that_do_not_exist_have_status_5(steady: Service) -> None:
    for words in (("cycle", "77"), ("version", "77"), ("promote", "77")):
        assert steady.ctl(*words).returncode == 5, words


def test_an_unreadable_record_names_its_line(steady: Service, library: list[Dialogue]) -> None:
    before = steady.data()
    lines = to_json_lines(library[50:70]).splitlines()
    lines.insert(7, '{"messages": [{"role": "nobody", "content": 3}]}')
    file = steady.home / "inbox/chats/mixed.jsonl"
    file.with_suffix(".part").write_text("\n".join(lines) + "\n")
    file.with_suffix(".part").rename(file)
    steady.until(lambda: refused_lines(steady, "mixed.jsonl") != [])
    assert refused_lines(steady, "mixed.jsonl") == [8]
    counts = steady.data()
    assert counts["new"] + counts["held_out"] == before["new"] + before["held_out"] + 20


def refused_lines(service: Service, name: str) -> list[object]:
    """Which lines of a file are in quarantine."""
    refused = service.json("quarantine")
    assert isinstance(refused, list)
    return [entry["line"] for entry in refused if Path(entry["file"]).name == name]

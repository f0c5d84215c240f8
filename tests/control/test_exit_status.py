"""Failures: each with its exit status, words that say what to do, and JSON where JSON was asked for."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from control.cli.main import main
from control.client import Thord
from tests.control.stand_in import REPOSITORY, Ctl, StandIn

CALLS = ["status", "cycles", "versions", "data", "quarantine", "events", "reload", "rollback", "train", "top"]


@pytest.mark.parametrize("command", CALLS)
def test_three_without_thord(ctl: Ctl, command: str) -> None:
    done = ctl(command)
    assert done.returncode == 3
    assert done.stdout == ""
    assert "thord is not running" in done.stderr
    assert "thorctl start" in done.stderr


def test_three_also_where_a_killed_thord_left_its_socket(ctl: Ctl, tmp_path: Path) -> None:
    (tmp_path / "home/run").mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "home/run/control.sock"))
    assert ctl("status").returncode == 3


@pytest.mark.parametrize(("http", "status"), [(400, 2), (422, 2), (403, 4), (404, 5), (409, 1), (500, 1), (503, 1)])
def test_an_error_of_thord_becomes_a_status(stand_in: StandIn, ctl: Ctl, http: int, status: int) -> None:
    stand_in.fail("POST", "/v1/rollback", http, "some_code", "what is wrong")
    done = ctl("rollback")
    assert (done.returncode, done.stdout, done.stderr) == (status, "", "thorctl: what is wrong\n")
    done = ctl("rollback", "--json")
    assert done.returncode == status
    assert json.loads(done.stdout) == {"error": {"code": "some_code", "message": "what is wrong"}}
    assert done.stderr == ""


@pytest.mark.parametrize(
    "words",
    [[], ["no-such-command"], ["cycle"], ["cycle", "x"], ["cycle", "0"], ["status", "--no-such-option"],
     ["promote", "newest"], ["generate", "-"], ["logs", "nobody"], ["completion", "ksh"], ["init", "--profile", "no"],
     ["top", "-d", "-1"], ["start", "--timeout", "nan"]],
)  # fmt: skip
def test_two_for_wrong_usage(stand_in: StandIn, ctl: Ctl, words: list[str]) -> None:
    done = ctl(*words)
    assert done.returncode == 2
    assert done.stderr.startswith("thorctl")
    assert "Traceback" not in done.stderr
    if words:
        done = ctl(*words, "--json")
        assert done.returncode == 2
        assert set(json.loads(done.stdout)["error"]) == {"code", "message"}


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_four_where_the_socket_may_not_be_opened(stand_in: StandIn) -> None:
    socket_file = stand_in.home / "run/control.sock"
    code = (
        "import os, sys; from control.cli.main import build, main; build(); import encodings.idna;"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534);"  # from here on Python's library may be closed
        f"sys.exit(main(['-s', {str(socket_file)!r}, 'status']))"
    )
    for folder in [*socket_file.parents][:6]:
        if str(folder).startswith("/tmp/"):
            folder.chmod(0o755)
    socket_file.chmod(0o660)
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 4, done.stderr
    assert "group" in done.stderr


def test_an_answer_that_is_cut_short_or_no_http_is_an_error(ctl: Ctl, tmp_path: Path) -> None:
    (tmp_path / "home/run").mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "home/run/control.sock"))
        listener.listen()
        answers = [
            b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
            b"what?\r\n",
            b"",
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n]]",
            b"HTTP/1.1 500 Oh\r\nContent-Length: 5\r\n\r\n<p>no",
        ]

        def answer() -> None:
            for text in answers:
                connection, _ = listener.accept()
                with connection:
                    connection.recv(4096)
                    connection.sendall(text)

        thread = threading.Thread(target=answer)
        thread.start()
        for _ in answers:
            done = ctl("status")
            assert done.returncode == 1
            assert done.stderr.startswith("thorctl: ")
            assert "Traceback" not in done.stderr
        thread.join()


def test_a_reader_that_goes_away_is_no_error_worth_words(stand_in: StandIn) -> None:
    stand_in.answers["GET", "/v1/events"] = (200, [{"id": n, "at": "", "type": "x" * 1000} for n in range(500)])
    thorctl = f"{sys.executable} -m control.cli.main -H {stand_in.home} events"
    done = subprocess.run(
        ["bash", "-c", f"{thorctl} | head -n 1; echo ${{PIPESTATUS[0]}}"],
        cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.stdout.splitlines()[1] == "141"


@pytest.mark.parametrize(("target", "status", "said"), [("/dev/full", 1, "No space left"), ("&-", 0, "")])
def test_output_that_goes_nowhere(stand_in: StandIn, target: str, status: int, said: str) -> None:
    thorctl = f"{sys.executable} -m control.cli.main -H {stand_in.home} status >{target}"
    done = subprocess.run(["bash", "-c", thorctl], cwd=REPOSITORY, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == status
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == bool(said)


@pytest.mark.parametrize("words", [["train", "--wait"], ["cycle", "7", "--wait", "--json"]])
def test_interrupting_a_wait_says_that_the_cycle_goes_on(
    stand_in: StandIn, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Thord, "wait", interrupted)
    assert main(["-H", str(stand_in.home), *words]) == 130
    said = capsys.readouterr().err
    assert "cycle 7 goes on" in said
    assert "thorctl cycle 7 --wait" in said
    assert "thorctl cancel 7" in said


def test_interrupting_is_quiet(stand_in: StandIn) -> None:
    command = [sys.executable, "-m", "control.cli.main", "-H", str(stand_in.home), "top", "-d", "60"]
    # A job in the background has it ignored, and its children too.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    finally:
        signal.signal(signal.SIGINT, before)
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 130
    assert process.stderr is not None
    assert process.stderr.read() == ""
    process.stdout.close()
    process.stderr.close()


def test_a_long_path_to_the_socket_is_no_obstacle(tmp_path: Path) -> None:
    done = Ctl(tmp_path / ("x" * 120) / "home")("status")
    assert done.returncode == 3, done.stderr

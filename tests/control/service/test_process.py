"""Starting and stopping a process that behaves as thord may: well, badly, or not at all."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from control import errors
from control.client import Thord
from control.commands.service import lifecycle
from control.service import process
from tests.control.stand_in import REPOSITORY, Ctl, StandIn

LISTEN = """
import http.server, json, os, pathlib, socketserver, sys
home = pathlib.Path(sys.argv[sys.argv.index("--home") + 1])
(home / "run").mkdir(parents=True, exist_ok=True)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        workers = {"server": {"state": WORKER, "pid": 1, "restarts": 0, "uptime_seconds": 1}}
        status = {"state": STATE, "pid": os.getpid(), "version": None, "workers": workers, "api": {"url": "http://x"}}
        status |= {"profile": "cpu", "why": "a test"}
        body = json.dumps(status).encode()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers()
        self.wfile.write(body)
    address_string = lambda self: ""
    log_message = lambda self, *_: None
class Server(socketserver.UnixStreamServer): pass
Server(str(home / "run/control.sock"), Handler).serve_forever()
"""


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    script = tmp_path / "fake.py"
    monkeypatch.setattr(process, "thord_command", lambda: [sys.executable, str(script)])
    return script


def start(home: Path, timeout: float = 20) -> dict[str, object]:
    return dict(process.start_detached(Thord(home), ["--home", str(home)], timeout))


@pytest.mark.parametrize(("state", "worker"), [("ready", "running"), ("degraded", "failed")])
def test_start_returns_when_it_is_ready_or_will_not_be(fake: Path, tmp_path: Path, state: str, worker: str) -> None:
    fake.write_text(f"STATE, WORKER = {state!r}, {worker!r}\n{LISTEN}")
    status = start(tmp_path / "home")
    pid = status["pid"]
    assert isinstance(pid, int)
    assert status["state"] == state
    assert os.getsid(pid) == pid, "it has left our session, so that closing the terminal does not end it"
    os.kill(pid, signal.SIGKILL)
    assert process.wait_gone(pid, 5)
    os.waitpid(pid, 0)


def test_a_start_that_fails_says_what_thord_said(fake: Path, tmp_path: Path) -> None:
    fake.write_text("import sys; sys.exit('thord: the disk is read-only')")
    with pytest.raises(errors.ThordError, match="the disk is read-only"):
        start(tmp_path / "home")
    fake.write_text("import sys; print('settings are wrong', file=sys.stderr); sys.exit(2)")
    with pytest.raises(errors.UsageError, match="settings are wrong") as failure:
        start(tmp_path / "home")
    assert failure.value.status == 2
    fake.write_text("import os; os.kill(os.getpid(), 9)")
    with pytest.raises(errors.ThordError, match="signal 9"):
        start(tmp_path / "home")


def test_of_two_that_are_started_at_once_both_starts_succeed(fake: Path, tmp_path: Path) -> None:
    lock = f"try: os.mkdir({str(tmp_path / 'lock')!r})\nexcept OSError: sys.exit('already running')"
    fake.write_text(f"import os, sys, time\n{lock}\ntime.sleep(0.3)\nSTATE, WORKER = 'ready', 'running'\n{LISTEN}")
    with ThreadPoolExecutor(2) as threads:
        both = list(threads.map(start, [tmp_path / "home"] * 2))
    pid = both[0]["pid"]
    assert [(status["state"], status["pid"]) for status in both] == [("ready", pid)] * 2
    assert isinstance(pid, int)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def test_a_start_that_takes_too_long_is_left_to_go_on(fake: Path, tmp_path: Path) -> None:
    fake.write_text("STATE, WORKER = 'starting', 'starting'\n" + LISTEN)
    with pytest.raises(errors.ThordError, match="goes on starting"):
        start(tmp_path / "home", timeout=2)
    pid = Thord(tmp_path / "home").status()["pid"]
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def test_a_thord_that_hangs_can_be_stopped_all_the_same(tmp_path: Path) -> None:
    home = tmp_path / "home"
    command = [sys.executable, "-c", f"STATE, WORKER = 'ready', 'running'\n{LISTEN}", "--home", str(home)]
    with subprocess.Popen(command, cwd=REPOSITORY) as hung:
        process.wait_ready(Thord(home), hung.pid, 20)
        hung.send_signal(signal.SIGSTOP)
        done = Ctl(home)("stop", "--now")
        assert done.returncode == 0, done.stderr
        assert str(hung.pid) in done.stdout
        assert hung.wait(5) == -signal.SIGKILL


def test_stopping_what_does_not_run_is_done(tmp_path: Path) -> None:
    done = Ctl(tmp_path / "home")("stop")
    assert (done.returncode, done.stdout) == (0, "thord was not running\n")


@pytest.mark.parametrize(("option", "variable"), [("~/own", None), (None, "~/own"), ("own", None), (None, "own")])
def test_thord_is_started_on_the_very_home_that_thorctl_looks_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str | None, variable: str | None
) -> None:
    """The shell leaves the tilde in ``--home=~/own`` alone, and thord is started in another folder."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    if variable:
        monkeypatch.setenv("THORD_HOME", variable)
    options = lifecycle.StartOptions(home=option, profile=None, set=[], env_file=None)
    assert lifecycle._arguments(options) == ["--home", str(tmp_path / "own")]
    (tmp_path / "own").mkdir()
    (tmp_path / "own/thord.toml").write_text('profile = "tiny"')
    assert process.resolve_settings(option)["profile"] == "tiny"


def test_a_start_while_it_stops_starts_it_again(fake: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    fake.write_text("STATE, WORKER = 'ready', 'running'\n" + LISTEN)
    stopping = (
        f"import threading, os\nthreading.Timer(1, os._exit, (0,)).start()\nSTATE, WORKER = 'stopping', 'x'\n{LISTEN}"
    )
    with subprocess.Popen([sys.executable, "-c", stopping, "--home", str(home)]) as ending:
        while process._status(Thord(home)) is None:  # the file of a socket is there before anybody listens
            assert ending.poll() is None
        fake.write_text(f"import os; os.unlink({str(home / 'run/control.sock')!r})\n{fake.read_text()}")
        options = lifecycle.StartOptions(
            home=str(home),
            socket=None,
            json=False,
            workers=[],
            profile=None,
            set=[],
            env_file=None,
            timeout=20.0,
            foreground=False,
        )
        assert lifecycle._start(options) == 0
        assert ending.poll() == 0
    pid = Thord(home).status()["pid"]
    assert pid != ending.pid
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def test_a_restart_with_wrong_settings_leaves_thord_as_it_is(stand_in: StandIn, ctl: Ctl) -> None:
    done = ctl("restart", "--set", "api.prot=1")
    assert done.returncode == 2
    assert "did you mean port?" in done.stderr
    assert not [path for _, path, _ in stand_in.asked if path == "/v1/stop"]

"""The command ``thord`` as a process: start, signals, mistakes, and how it ends however it ends."""

import contextlib
import http.client
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.daemon.supervisor.scripted import StartThord, Thord, alive, wait_until


class _Control(http.client.HTTPConnection):
    def __init__(self, thord: Thord) -> None:
        super().__init__("thord", timeout=10)
        self._path = str(thord.paths.control_socket)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self._path)


def call(thord: Thord, path: str, method: str = "GET", body: object = None) -> dict[str, object]:
    connection = _Control(thord)
    try:
        connection.request(method, path, json.dumps(body) if body else None)
        answer: dict[str, object] = json.loads(connection.getresponse().read())
        return answer
    finally:
        connection.close()


def said_at_its_end(thord: Thord) -> str:
    """By one that could not start: a single line, and status 1."""
    assert thord.process.wait(10) == 1
    assert thord.process.stderr
    said = thord.process.stderr.read()
    assert len(said.splitlines()) == 1
    return said


def test_a_term_stops_everything_and_leaves_nothing(thord: StartThord) -> None:
    it = thord()
    family = it.family()
    assert len(family) == 3
    start = time.monotonic()
    assert it.stop() == 0
    assert time.monotonic() - start < 1.5
    assert not [process for process in family if alive(process)]
    assert not [file.name for file in it.paths.run.iterdir() if file.is_socket()]
    assert it.paths.pid_file.read_text() == ""


def test_a_second_signal_does_not_wait_for_the_slow(thord: StartThord) -> None:
    it = thord(monitor="deaf")
    it.process.send_signal(signal.SIGTERM)
    it.until_logged("stopping")
    start = time.monotonic()
    assert it.stop(signal.SIGINT) == 0
    assert time.monotonic() - start < 1.0


def test_a_stop_now_over_the_socket_does_not_wait_either(thord: StartThord) -> None:
    it = thord(monitor="deaf")
    assert call(it, "/v1/stop", "POST", {"now": True}) == {"state": "stopping"}
    assert it.process.wait(5) == 0


def test_a_stop_while_starting_is_a_stop(thord: StartThord) -> None:
    it = thord(server="never_ready", ready=False)
    it.until_logged("worker changed", worker="server")
    start = time.monotonic()
    assert it.stop() == 0
    assert time.monotonic() - start < 2


def test_the_control_socket_answers_before_any_worker_is_up(thord: StartThord) -> None:
    it = thord(intake="late", server="late", monitor="late", ready=False)
    it.until_logged("worker changed", 3)
    status = call(it, "/v1/status")
    assert status["state"] == "starting"
    (it.paths.state / "go").touch()
    it.until_logged("up")
    assert call(it, "/v1/status")["state"] == "ready"


@pytest.mark.parametrize("when", ["starting", "ready", "stopping"])
def test_kill_minus_nine_of_the_supervisor_leaves_no_process(thord: StartThord, when: str) -> None:
    it = thord(intake="with_children", server="idle", monitor="deaf")
    _, far = map(int, (it.paths.state / "children-intake").read_text().split())
    family = [process for process in it.family() if process.pid != far]
    assert len(family) == 4
    if when == "starting":
        os.kill(it.worker_pid("server"), signal.SIGKILL)
        family = [process for process in it.family() if process.pid != far]
    elif when == "stopping":
        it.process.send_signal(signal.SIGTERM)
        it.until_logged("stopping")
    it.process.kill()
    start = time.monotonic()
    wait_until(lambda: not [process for process in family if alive(process)], seconds=1)
    assert time.monotonic() - start < 1


def test_even_a_stopped_worker_and_its_child_die_with_the_supervisor(thord: StartThord) -> None:
    it = thord(intake="with_children")
    near = psutil.Process(int((it.paths.state / "children-intake").read_text().split()[0]))
    worker = psutil.Process(it.worker_pid("intake"))
    worker.suspend()
    it.process.kill()
    wait_until(lambda: not alive(worker) and not alive(near), seconds=1)


def test_the_next_start_after_a_kill_succeeds_at_once(thord: StartThord) -> None:
    first = thord()
    port = call(first, "/v1/status")["api"]["url"].rsplit(":", 1)[1]
    first.process.kill()
    second = thord("--set", f"api.port={port}", ready=False)
    wait_until(
        lambda: [line for line in second.log() if line["event"] == "up"][1:] or second.process.poll() is not None
    )
    assert second.process.poll() is None
    assert call(second, "/v1/status")["state"] == "ready"


def test_a_second_thord_on_the_same_home_is_refused(thord: StartThord) -> None:
    first = thord()
    second = thord(ready=False)
    said = said_at_its_end(second)
    assert f"already running on {first.home} (pid {first.process.pid})" in said
    assert call(first, "/v1/status")["state"] == "ready"


@pytest.mark.parametrize("file", ["run/thord.pid", "logs/thord.log"])
def test_what_cannot_be_written_at_the_start_is_named(thord: StartThord, tmp_path: Path, file: str) -> None:
    (tmp_path / "home" / file).parent.mkdir(parents=True)
    (tmp_path / "home" / file).symlink_to("/dev/full" if file.endswith("pid") else "/no/such/folder")
    it = thord(ready=False)
    said = said_at_its_end(it)
    assert f"thord: cannot write {it.home / file}: " in said


def test_a_crash_looping_worker_degrades_the_service_and_no_more(thord: StartThord) -> None:
    it = thord("--set", "supervision.max_restarts=1", monitor="crash_early", server="hears_of_health")
    status = call(it, "/v1/status")
    assert status["state"] == "degraded"
    assert status["reasons"] == ["monitor is failed"]
    workers = status["workers"]
    assert isinstance(workers, dict)
    assert workers["intake"]["state"] == "running"
    assert workers["monitor"]["deaths"][-1]["reason"] == "exited with status 1"
    told = it.paths.state / "health-server"
    wait_until(lambda: told.exists() and told.read_text() == "degraded monitor is failed")
    it.stop()
    assert it.process.returncode == 0
    with contextlib.closing(sqlite3.connect(it.paths.database)) as store:
        noted = [json.loads(row[0]) for row in store.execute("SELECT data FROM events WHERE type = 'worker.died'")]
    assert noted[0] == {"worker": "monitor", "reason": "exited with status 1", "now": "starting"}


def test_workers_are_stopped_started_and_restarted_over_the_socket(thord: StartThord) -> None:
    it = thord()
    assert call(it, "/v1/workers/monitor/stop", "POST")["state"] == "stopped"
    assert call(it, "/v1/status")["state"] == "degraded"
    assert call(it, "/v1/workers/monitor/start", "POST")["state"] == "running"
    before = it.worker_pid("server")
    assert call(it, "/v1/workers/server/restart", "POST")["pid"] != before
    assert "error" in call(it, "/v1/workers/trainer/start", "POST")
    assert call(it, "/v1/status")["state"] == "ready"


def test_hup_reloads_and_a_broken_file_changes_nothing(thord: StartThord) -> None:
    it = thord()
    it.paths.config.write_text('[data]\nmin_conversations = 3\n[api]\nallow_origins = ["*"]\n')
    it.process.send_signal(signal.SIGHUP)
    line = it.until_logged("settings reloaded")[0]
    assert line["applied"] == ["data.min_conversations"]
    assert line["needs_restart"] == {"api.allow_origins": "thorctl restart server"}
    assert json.loads(it.paths.settings_file.read_text())["data"]["min_conversations"] == 3
    assert it.paths.settings_file.stat().st_mode & 0o777 == 0o600
    it.paths.config.write_text("[data]\nmin_conversation = 4\n")
    it.process.send_signal(signal.SIGHUP)
    said = it.until_logged("the settings are as before")[0]
    assert "min_conversations" in str(said["error"])
    assert json.loads(it.paths.settings_file.read_text())["data"]["min_conversations"] == 3
    assert call(it, "/v1/status")["state"] == "ready"


def test_a_reload_that_cannot_be_written_down_stops_nothing(thord: StartThord) -> None:
    it = thord()
    file = it.paths.settings_file
    draft = file.with_name(f".tmp-{file.name}-{it.process.pid}")
    draft.mkdir()  # as good as a full disk
    it.paths.config.write_text("[data]\nmin_conversations = 3\n")
    it.process.send_signal(signal.SIGHUP)
    assert "cannot be written" in str(it.until_logged("the settings are as before")[0]["error"])
    refused = call(it, "/v1/reload", "POST")["error"]
    assert isinstance(refused, dict)
    assert refused["code"] == "store_unavailable"
    draft.rmdir()
    assert call(it, "/v1/reload", "POST")["applied"] == ["data.min_conversations"]
    assert call(it, "/v1/status")["state"] == "ready"


def test_a_reload_says_what_is_wrong_with_the_file_of_keys_until_it_is_right(thord: StartThord) -> None:
    it = thord()
    keys = it.home / "keys"
    keys.write_text("good\nsecret:reed,train\n")
    it.paths.config.write_text(f'[api]\nkeys_file = "{keys}"\n')
    (warning,) = call(it, "/v1/reload", "POST")["warnings"]
    assert f"{keys}, line 2: there is no scope 'reed'" in warning
    assert "thorctl reload" in warning
    assert "secret" not in warning
    status = call(it, "/v1/status")
    assert (status["state"], status["reasons"]) == ("degraded", [warning])
    keys.write_text("good\nsecret:read,train\n")
    assert call(it, "/v1/reload", "POST")["warnings"] == []
    assert call(it, "/v1/status")["state"] == "ready"


def test_descriptors_and_threads_are_flat_over_fifty_reloads(thord: StartThord) -> None:
    it = thord()
    process = psutil.Process(it.process.pid)

    def reload(times: int) -> None:
        for _ in range(times):
            assert "applied" in call(it, "/v1/reload", "POST")

    reload(3)
    before = process.num_fds(), process.num_threads()
    reload(50)
    wait_until(lambda: process.num_fds() <= before[0], seconds=2)
    assert process.num_threads() <= before[1]


def test_descriptors_are_flat_over_many_deaths(thord: StartThord) -> None:
    it = thord("--set", "supervision.max_restarts=1000", "--set", "supervision.backoff_cap_seconds=0.01")
    process = psutil.Process(it.process.pid)

    def kill_once() -> None:
        pid = it.worker_pid("monitor")
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: it.worker_pid("monitor") != pid)

    kill_once()
    it.until_logged("worker changed", 2, worker="monitor", state="running")
    before = process.num_fds()
    for number in range(3):
        kill_once()
        it.until_logged("worker changed", 3 + number, worker="monitor", state="running")
    assert process.num_fds() <= before


def test_an_idle_supervisor_hardly_wakes_and_stays_small(thord: StartThord) -> None:
    it = thord()
    time.sleep(1)

    def wakeups() -> int:
        tasks = Path(f"/proc/{it.process.pid}/task")
        lines = [line for task in tasks.iterdir() for line in (task / "status").read_text().splitlines()]
        return sum(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches"))

    before = wakeups()
    time.sleep(3)
    assert wakeups() - before <= 4
    assert psutil.Process(it.process.pid).memory_info().rss <= 60e6


def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "daemon.supervisor.main", *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        timeout=30,
        env={**os.environ, **environment},
    )


def test_mistakes_of_a_user_are_one_message_and_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/thord.toml").write_text("[data\n")
    long = tmp_path / ("d" * 90) / ("e" * 90)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        cases = [
            (("--home", tmp_path / "file/home"), 1, f"{tmp_path / 'file'} is not a folder"),
            (("--home", "/proc/home"), 1, "cannot make /proc/home"),
            (("--home", tmp_path / "broken"), 2, "not valid TOML"),
            (("--home", tmp_path / "a", "--set", "data.x=1"), 2, "--set data.x=1: data.x: unknown"),
            (("--home", tmp_path / "a", "--profile", "nobody"), 2, "no such profile"),
            (("--home", long, "--set", f"api.port={port}"), 1, f"(pid {os.getpid()}); set api.port or stop it"),
            (("--home", tmp_path / "a", "--set", "api.host=nowhere.invalid"), 1, "api.host = 'nowhere.invalid' is no"),
            (("--home", tmp_path / "a", "--set", "api.host=192.0.2.1"), 1, "cannot listen on 192.0.2.1"),
            (("--bad",), 2, "usage: thord"),
        ]
        for arguments, status, said in cases:
            done = run(*arguments)
            assert (done.returncode, said in done.stderr) == (status, True), (arguments, done)
            assert "Traceback" not in done.stderr


def test_check_and_version_start_nothing(tmp_path: Path) -> None:
    done = run("--home", tmp_path / "home", "--profile", "tiny", "--check")
    assert done.returncode == 0
    assert "profile tiny" in done.stdout
    assert not (tmp_path / "home").exists()
    assert run("--version").stdout.startswith("thord ")


def test_a_damaged_store_is_named_with_a_remedy(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "thord.db").write_bytes(b"this is no database, whatever its name says" * 100)
    done = run("--home", home, "--set", "api.port=0")
    assert done.returncode == 1
    assert "thord.db" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (home / "run/control.sock").exists()


def test_systemd_is_told_the_truth(thord: StartThord, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        address = f"thord-test-{os.getpid()}"
        systemd.bind(f"\0{address}")
        systemd.settimeout(10)

        def until(*wanted: str) -> list[str]:
            seen: list[str] = []
            while not all(any(line.startswith(word) for line in seen) for word in wanted):
                seen += systemd.recv(4096).decode().splitlines()
            return seen

        environment = {"NOTIFY_SOCKET": f"@{address}", "WATCHDOG_USEC": "400000"}
        it = thord(monitor="late", ready=False, environment=environment)
        before = until("EXTEND_TIMEOUT_USEC=", "WATCHDOG=1", "STATUS=starting: ")
        assert "READY=1" not in before
        (it.paths.state / "go").touch()
        assert "STATUS=ready" in until("READY=1", "WATCHDOG=1")
        it.paths.config.write_text("[broken")
        it.process.send_signal(signal.SIGHUP)
        reload = until("RELOADING=1", "READY=1")
        assert reload[reload.index("RELOADING=1") + 1].startswith("MONOTONIC_USEC=")
        it.process.send_signal(signal.SIGTERM)
        until("STOPPING=1", "EXTEND_TIMEOUT_USEC=")
        assert it.process.wait(10) == 0

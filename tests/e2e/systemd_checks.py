"""What must hold of the installed service. Run by `test_systemd`, as root, in a system that is thrown away.

The checks build on each other, in the order they stand in.
"""

import json
import os
import pwd
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import pytest

from demo.text import standard_library, to_json_lines
from tests.e2e.service import FAST, REPOSITORY

BIN = Path(sys.executable).parent
CONFIG = Path("/etc/thord/thord.toml")
CGROUP = Path("/sys/fs/cgroup/system.slice/thord.service/cgroup.procs")
FASTER = [setting for setting in FAST if not setting.startswith("schedule.")]

pytestmark = pytest.mark.skipif(not Path("/run/systemd/system").is_dir(), reason="no systemd runs here")


def run(*command: str, status: int = 0, user: str | None = None) -> str:
    """Standard output of a command that must end with that status."""
    if user:
        command = ("setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "--", *command)
    environment = {**os.environ, "HOME": pwd.getpwnam(user).pw_dir} if user else None
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == status, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}\n{journal()}"
    return done.stdout if status == 0 else done.stdout + done.stderr


def ctl(*words: str, status: int = 0, user: str | None = None) -> str:
    return run(str(BIN / "thorctl"), *words, status=status, user=user)


def show(name: str) -> str:
    return run("systemctl", "show", "thord", f"--property={name}", "--value").strip()


def journal() -> str:
    return subprocess.run(
        ["journalctl", "-u", "thord", "-o", "cat", "--no-pager"], capture_output=True, text=True, check=False
    ).stdout


def family() -> list[psutil.Process]:
    return [psutil.Process(int(pid)) for pid in CGROUP.read_text().split()] if CGROUP.exists() else []


def wait_for_restart(count: int, old: list[psutil.Process]) -> None:
    """Until systemd has started thord for the given time, and nothing of the old one lives."""
    _, alive = psutil.wait_procs(old, timeout=60)
    assert not alive
    run("systemctl", "start", "thord")  # returns when the start under way is complete
    assert (show("NRestarts"), show("ActiveState")) == (str(count), "active")


@pytest.fixture(scope="module", autouse=True)
def readable_installation() -> None:
    """Let the service reach this checkout, wherever it lies; the system is thrown away.

    The folders above the interpreter and the project may be root's own, and the unit has a /tmp of its own.
    """
    for place in (BIN, BIN / "python", Path(__file__)):
        for folder in place.resolve().parents:
            folder.chmod(folder.stat().st_mode | 0o111)
    if any(place.is_relative_to("/tmp") for place in (REPOSITORY, BIN)):
        drop_in = Path("/etc/systemd/system/thord.service.d/checkout.conf")
        drop_in.parent.mkdir(parents=True, exist_ok=True)
        drop_in.write_text(f"[Service]\nBindReadOnlyPaths={REPOSITORY} {BIN.parent}\n")


@pytest.fixture(scope="module", autouse=True)
def shared_mounts() -> None:
    """Share mounts between namespaces, as systemd does on every machine it boots, but not where it sees a container.

    It mounts credentials in a namespace of its own and needs this to show them to the service; without it every unit,
    whatever its user, finds an empty folder of root's.
    """
    run("mount", "--make-rshared", "/")


def test_a_dry_run_says_all_and_does_nothing() -> None:
    said = ctl("install-service", "--dry-run")
    assert "would write /etc/systemd/system/thord.service" in said
    assert not Path("/etc/systemd/system/thord.service").exists()


@pytest.fixture
def tried_by_root() -> None:
    """Root has run thord in the home of the service."""
    versions = Path("/var/lib/thord/models/versions")
    versions.mkdir(parents=True)
    versions.parent.chmod(0o750)
    (Path("/var/lib/thord") / "thord.lock").touch(mode=0o640)


@pytest.mark.usefixtures("tried_by_root")
def test_installing_hands_the_home_over_that_root_made() -> None:
    ctl("install-service")
    assert {path.owner() for path in Path("/var/lib/thord").rglob("*")} == {"thord"}
    assert run("systemctl", "show", "thord", "--property=LoadState", "--value").strip() == "loaded"
    assert pwd.getpwnam("thord").pw_shell.endswith("nologin")
    for name in ("chats", "conversations", "corpus"):
        assert (Path("/var/lib/thord/inbox") / name).stat().st_mode & 0o7777 == 0o2770


def test_wrong_settings_are_refused_once_and_not_again_and_again() -> None:
    CONFIG.write_text("[training]\nlerning_rate = 1\n")
    said = ctl("start", status=2)
    assert said.count("lerning_rate") == 2, said  # in what systemd was told, and in the journal
    assert (show("ActiveState"), show("NRestarts"), show("ExecMainStatus")) == ("failed", "0", "2")
    assert "lerning_rate" in journal()
    assert "lerning_rate" in ctl("doctor", status=1)


def test_starting_returns_when_it_is_ready() -> None:
    lines = ['profile = "tiny"', "schedule.after_new_conversations = 60"]
    CONFIG.write_text("\n".join([*lines, *(setting.replace("=", " = ") for setting in FASTER)]) + "\n")
    status = json.loads(ctl("start", "--json"))
    assert status["state"] == "ready"
    assert (show("ActiveState"), show("MainPID")) == ("active", str(status["pid"]))
    assert show("StatusText").startswith("ready")
    assert {process.username() for process in family()} == {"thord"}
    assert {worker["state"] for name, worker in status["workers"].items() if name != "trainer"} <= {
        "running",
        "stopped",
    }
    assert "thord starts" in journal()
    assert "is already running" in ctl("start")


def test_only_its_own_folders_can_be_written() -> None:
    namespace = f"/proc/{show('MainPID')}/root"
    mounts = Path(f"/proc/{show('MainPID')}/mountinfo").read_text().splitlines()
    writable = {line.split()[4] for line in mounts if "rw" in line.split()[5].split(",")}
    assert "/" not in writable, namespace
    assert {"/var/lib/thord", "/var/log/thord", "/run/thord"} <= writable


def test_reloading() -> None:
    CONFIG.write_text(CONFIG.read_text() + "schedule.interval_minutes = 17.0\n")
    run("systemctl", "reload", "thord")
    assert show("ActiveState") == "active"
    assert json.loads(ctl("config", "--json"))["settings"]["schedule"]["interval_minutes"] == 17.0
    CONFIG.write_text(CONFIG.read_text() + "schedule.interval_minuets = 18.0\n")
    run("systemctl", "reload-or-restart", "--no-block", "thord")
    assert "interval_minuets" in ctl("reload", status=2)
    assert show("ActiveState") == "active", "wrong settings leave the old ones in force"
    assert "starts thord here" in ctl("restart", "--set", "api.port=1", status=2)
    assert show("ActiveState") == "active", "what cannot be done is said before anything is"
    CONFIG.write_text(CONFIG.read_text().replace("schedule.interval_minuets = 18.0\n", ""))


def test_members_of_the_group_may_ask_and_give_but_not_steer() -> None:
    run("useradd", "--create-home", "--groups", "thord", "alice")
    run("useradd", "--create-home", "bob")
    assert json.loads(ctl("status", "--json", user="alice"))["state"] == "ready"
    assert json.loads(ctl("data", "--json", user="alice"))["new"] == 0
    ctl("stop", status=4, user="alice")
    ctl("status", status=3, user="bob")
    ctl("-s", "/run/thord/control.sock", "status", status=4, user="bob")


def test_conversations_of_a_member_become_a_version_that_serves() -> None:
    file = Path("/tmp/library.jsonl")
    file.write_text(to_json_lines(standard_library(160)), encoding="utf-8")
    file.chmod(0o644)
    follower = subprocess.Popen([str(BIN / "thorctl"), "events", "-f", "--json"], stdout=subprocess.PIPE, text=True)
    ctl("ingest", str(file), user="alice")
    assert follower.stdout is not None
    types: list[str] = []
    for line in follower.stdout:
        types.append(json.loads(line)["type"])
        if types[-1] in {"cycle.promoted", "cycle.rejected", "cycle.failed", "cycle.skipped"}:
            break
    follower.terminate()
    follower.wait()
    follower.stdout.close()
    assert types[-1] == "cycle.promoted", f"{types}\n{ctl('cycle', '1')}\n{ctl('logs', '-n', '50')}"
    answer = json.loads(ctl("chat", "Hello", "--max-tokens", "4", "--json", user="alice"))
    assert answer["version"] == json.loads(ctl("status", "--json"))["version"] == "000001"


def test_a_killed_supervisor_is_started_again_by_systemd() -> None:
    old = family()
    os.kill(int(show("MainPID")), signal.SIGKILL)
    wait_for_restart(1, old)
    assert json.loads(ctl("status", "--json"))["version"] == "000001"


def test_a_supervisor_that_hangs_is_ended_by_the_watchdog() -> None:
    drop_in = Path("/etc/systemd/system/thord.service.d/fast.conf")
    drop_in.parent.mkdir(exist_ok=True)
    drop_in.write_text("[Service]\nWatchdogSec=3\n")
    run("systemctl", "daemon-reload")
    ctl("restart")
    old = family()
    os.kill(int(show("MainPID")), signal.SIGSTOP)
    wait_for_restart(1, old)
    assert "watchdog" in run("journalctl", "-u", "thord", "--no-pager").lower()
    assert json.loads(ctl("status", "--json"))["state"] == "ready"


def test_stopping_leaves_nothing() -> None:
    old = family()
    assert len(old) >= 4
    assert "has stopped" in ctl("stop")
    assert not family()
    assert not [process for process in old if process.is_running()]
    assert (show("ActiveState"), show("Result")) == ("inactive", "success")
    assert not Path("/run/thord").exists()
    ctl("status", status=3)
    assert "was not running" in ctl("stop")


def test_systemd_listens_and_starts_it_when_somebody_connects() -> None:
    key = "only-for-this-test"
    store = Path("/root/thord.keys")
    store.write_text(f"{key}\n")
    store.chmod(0o600)
    ctl("install-service", "--socket-activation", "--keys", str(store))
    run("systemctl", "enable", "--now", "thord.socket")
    assert show("ActiveState") == "inactive"
    said = run("env", "THORD__API__PORT=8000", str(BIN / "thorctl"), "doctor")  # that of the socket
    assert "systemd listens for thord" in said

    def status(path: str, *, authorised: bool) -> int:
        headers = {"authorization": f"Bearer {key}"} if authorised else {}
        request = urllib.request.Request(f"http://127.0.0.1:8000{path}", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code

    assert status("/healthz", authorised=False) == 200
    assert (status("/v1/models", authorised=False), status("/v1/models", authorised=True)) == (401, 200)
    assert json.loads(ctl("status", "--json"))["api"]["url"] == "http://127.0.0.1:8000"
    ctl("restart")
    assert status("/v1/models", authorised=True) == 200
    run("systemctl", "disable", "--now", "thord.socket", "thord.service")
    store.unlink()
    Path("/etc/systemd/system/thord.socket").unlink()
    ctl("install-service")


def test_the_commands_of_the_readme() -> None:
    page = (REPOSITORY / "README.md").read_text()
    block = page.split("<!-- run by tests/e2e/systemd_checks.py -->")[1].split("```")[1]
    commands = [line.split("#")[0].removeprefix("sudo ").strip() for line in block.splitlines()[1:]]
    script = "\n".join(["set -e", f"PATH={BIN}:$PATH", "export SYSTEMD_PAGER=", *commands])
    assert "active (running)" in run("bash", "-c", script)
    run("systemctl", "disable", "--now", "thord")


def test_uninstalling_leaves_settings_and_data() -> None:
    ctl("install-service", "--uninstall")
    assert not Path("/etc/systemd/system/thord.service").exists()
    assert CONFIG.exists()
    assert Path("/var/lib/thord/models/versions/000001").is_dir()

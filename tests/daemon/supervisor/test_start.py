"""What is taken before anything runs: folders, the lock, the sockets; and the line to systemd."""

import grp
import os
import shlex
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from control.paths import Paths, at_home
from daemon.settings.sections import ApiSettings
from daemon.supervisor import home, socket_activation, sockets
from daemon.supervisor.lock import Lock
from daemon.supervisor.notify import Notifier
from daemon.supervisor.start_error import StartError


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    places = at_home(tmp_path / "home")
    home.prepare(places)
    return places


def mode(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


def test_folders_are_closed_to_strangers_and_the_inbox_open_to_the_group(paths: Paths) -> None:
    assert {mode(folder) for folder in (paths.state, paths.logs, paths.run, paths.versions)} == {0o750}
    assert {mode(paths.inbox / name) for name in ("chats", "conversations", "corpus")} == {0o770}


def test_folders_that_exist_keep_their_modes(paths: Paths) -> None:
    paths.inbox.chmod(0o700)
    home.prepare(paths)
    assert mode(paths.inbox) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody who may not write")
def test_a_home_of_somebody_else_is_named() -> None:
    code = "import os, sys; from control.paths import at_home; from pathlib import Path\n"
    code += "from daemon.supervisor import home\nos.seteuid(65534)\nhome.prepare(at_home(Path(sys.argv[1])))"
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        done = subprocess.run([sys.executable, "-c", code, folder], check=False, capture_output=True, text=True)
    assert "StartError: cannot" in done.stderr
    assert "Permission denied" in done.stderr


def test_the_lock_is_held_by_one_and_freed_by_the_end_of_the_process(paths: Paths) -> None:
    code = "import sys; from control.paths import at_home; from pathlib import Path\n"
    code += "from daemon.supervisor.lock import Lock\nlock = Lock(at_home(Path(sys.argv[1])))\n"
    code += "print(flush=True)\ninput()"
    holder = subprocess.Popen(
        [sys.executable, "-c", code, paths.state], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdin
    assert holder.stdout
    holder.stdout.readline()
    with pytest.raises(StartError, match=rf"already running .*\(pid {holder.pid}\)"):
        Lock(paths)
    holder.kill()
    holder.wait()
    holder.stdin.close()
    holder.stdout.close()
    lock = Lock(paths)
    assert paths.pid_file.read_text() == f"{os.getpid()}\n"
    lock.close()
    assert paths.pid_file.read_text() == ""
    Lock(paths).close()


def test_two_that_keep_their_sockets_apart_do_not_share_a_state(paths: Paths, tmp_path: Path) -> None:
    """As with and without XDG_RUNTIME_DIR, which a job of cron does not have."""
    elsewhere = paths._replace(run=tmp_path / "elsewhere")
    home.prepare(elsewhere)
    lock = Lock(paths)
    with pytest.raises(StartError, match=rf"already running on {paths.state} \(pid {os.getpid()}\)"):
        Lock(elsewhere)
    assert elsewhere.pid_file.read_text() == ""
    lock.close()
    Lock(elsewhere).close()


def bound(paths: Paths, **api: str | int) -> sockets.Sockets:
    return sockets.bind(paths, ApiSettings.model_validate({"port": 0, **api}))


def test_sockets_listen_with_the_right_modes_and_leave_no_file(paths: Paths) -> None:
    it = bound(paths)
    shared = 0o660 if any(group.gr_name == "thord" for group in grp.getgrall()) else 0o600
    assert mode(paths.control_socket) == mode(paths.server_socket) == shared
    assert mode(paths.channel_socket) == 0o600
    host, port = it.api_url.removeprefix("http://").split(":")
    socket.create_connection((host, int(port))).close()
    assert not any(os.get_inheritable(listener.fileno()) for listener in (*it.api, it.control, it.channel))
    it.close(paths)
    assert not [file for file in paths.run.iterdir() if file.is_socket()]


def test_a_stale_socket_is_replaced_and_a_live_one_is_not(paths: Paths) -> None:
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(paths.control_socket))
        bound(paths).close(paths)  # it never listened: stale
        other_live = socket.socket(socket.AF_UNIX)
        other_live.bind(str(paths.control_socket))
        other_live.listen(100)
        with pytest.raises(StartError, match=r"control\.sock is in use"):
            sockets.bind(paths, ApiSettings(port=0), handover_seconds=0.1)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(paths.control_socket))  # untouched
        other_live.close()


def test_an_address_that_is_given_up_meanwhile_is_taken_over(paths: Paths) -> None:
    taken = socket.create_server(("127.0.0.1", 0))
    port = taken.getsockname()[1]
    threading.Timer(0.2, taken.close).start()
    it = bound(paths, port=port)
    assert it.api_url == f"http://127.0.0.1:{port}"
    it.close(paths)


@pytest.mark.skipif(not socket.has_ipv6 or not Path("/proc/net/if_inet6").exists(), reason="no IPv6 here")
def test_ipv6_addresses_are_written_in_brackets(paths: Paths) -> None:
    try:
        it = bound(paths, host="::1")
    except StartError:
        pytest.skip("no IPv6 loopback")
    assert it.api_url.startswith("http://[::1]:")
    it.close(paths)


HANDED_OVER = """
import os, sys
from pathlib import Path
from control.paths import at_home
from daemon.settings.sections import ApiSettings
from daemon.supervisor import socket_activation, sockets
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "2", "LISTEN_FDNAMES": "thord.socket:thord.socket"}
given = socket_activation.take(os.environ)
assert not [name for name in os.environ if name.startswith("LISTEN_")]
assert not any(os.get_inheritable(each.fileno()) for each in given)
paths = at_home(Path(sys.argv[1]))
it = sockets.bind(paths, ApiSettings(port=1), given)
for listener in it.api[:2]:
    client, _ = listener.accept()
    client.sendall(it.api_url.encode())
it.close(paths)
"""


def hand_over(home: Path, *given: socket.socket) -> "subprocess.Popen[str]":
    """As systemd does it: sockets as descriptors 3 and 4 of the process that takes them."""
    moved = " ".join(f"{3 + n}<&{each.fileno()}" for n, each in enumerate(given))
    command = f'exec {shlex.quote(sys.executable)} -c "$0" "$1" {moved}'
    kept = [each.fileno() for each in given]
    return subprocess.Popen(["bash", "-c", command, HANDED_OVER, str(home)], pass_fds=kept, stderr=-1, text=True)


def test_systemd_may_listen_for_us_and_who_came_before_is_answered(paths: Paths, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as local:
        local.bind(str(tmp_path / "public.sock"))
        local.listen()
        clients = [socket.create_connection(tcp.getsockname()), socket.socket(socket.AF_UNIX)]
        clients[1].connect(str(tmp_path / "public.sock"))
        with hand_over(paths.state, tcp, local) as thord:
            url = f"http://127.0.0.1:{tcp.getsockname()[1]}"
            assert [client.recv(100).decode() for client in clients] == [url, url]
            assert thord.wait(20) == 0
        for client in clients:
            client.close()
        assert (tmp_path / "public.sock").exists()


def test_what_systemd_hands_over_must_listen(paths: Paths) -> None:
    with socket.socket() as silent, hand_over(paths.state, silent, silent) as thord:
        assert "descriptor 3, which is not a listening stream socket" in thord.communicate(timeout=20)[1]


def test_sockets_for_another_process_are_left_alone() -> None:
    environment = {"LISTEN_PID": "1", "LISTEN_FDS": "2", "PATH": "x"}
    assert socket_activation.take(environment) == ()
    assert environment == {"PATH": "x"}


def test_a_home_with_a_path_longer_than_a_socket_address(tmp_path: Path) -> None:
    places = at_home(tmp_path / ("d" * 100) / ("e" * 100))
    home.prepare(places)
    it = bound(places)
    assert places.control_socket.is_socket()
    it.close(places)


def test_systemd_hears_each_message_whole_and_nobody_else_speaks_for_thord(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "3000000")
        monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
        notifier = Notifier()
        assert notifier.watchdog_seconds == 3.0
        assert not {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"} & os.environ.keys()
        notifier.ready("all\nwell")
        assert systemd.recv(1000) == b"READY=1\nSTATUS=all well"
        notifier.reloading()
        lines = systemd.recv(1000).decode().splitlines()
        assert lines[0] == "RELOADING=1"
        assert lines[1].removeprefix("MONOTONIC_USEC=").isdecimal()
    notifier.alive()  # systemd is gone: no error


def test_a_watchdog_meant_for_another_process_is_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "@somewhere")
    monkeypatch.setenv("WATCHDOG_USEC", "3000000")
    monkeypatch.setenv("WATCHDOG_PID", "1")
    assert Notifier().watchdog_seconds is None


def test_without_systemd_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    Notifier().ready("ready")

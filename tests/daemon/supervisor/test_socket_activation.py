"""Sockets that systemd listens on are taken over, and whoever connected before is answered."""

import shlex
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from control.paths import Paths, at_home
from daemon.supervisor import home, socket_activation


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    places = at_home(tmp_path / "home")
    home.prepare(places)
    return places


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

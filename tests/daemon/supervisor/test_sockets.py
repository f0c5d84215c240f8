"""Sockets are bound before anything runs: with the right modes, never over those of a process that lives."""

import grp
import os
import socket
import stat
import threading
from pathlib import Path

import pytest

from control.paths import Paths, at_home
from daemon.settings.sections import ApiSettings
from daemon.supervisor import home, sockets
from daemon.supervisor.start_error import StartError


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    places = at_home(tmp_path / "home")
    home.prepare(places)
    return places


def mode(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


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


def test_a_home_with_a_path_longer_than_a_socket_address(tmp_path: Path) -> None:
    places = at_home(tmp_path / ("d" * 100) / ("e" * 100))
    home.prepare(places)
    it = bound(places)
    assert places.control_socket.is_socket()
    it.close(places)

"""The sockets thord listens on, bound before anything else runs: a live one is never taken over, a stale one replaced.

Those of the public API are bound here and inherited by the server, so that connections wait in the backlog, and are not
refused, while a server starts or is replaced.
"""

import contextlib
import errno
import grp
import os
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from control.paths import Paths, socket_address
from daemon.settings.sections import ApiSettings
from daemon.supervisor.start_error import StartError

GROUP = "thord"
"""Its members may steer the service, where the group exists."""

_BACKLOG = 2048
_T = TypeVar("_T")


class _InUseError(Exception):
    """Another process has the address."""


@dataclass(frozen=True)
class Sockets:
    """All sockets of one thord, bound and listening.

    Attributes:
        control: HTTP for thorctl.
        channel: messages of the workers.
        api: the public API: TCP first, the local socket last.
        api_url: where TCP clients find it.
    """

    control: socket.socket
    channel: socket.socket
    api: tuple[socket.socket, ...]
    api_url: str

    def close(self, paths: Paths) -> None:
        """Close them and remove their files."""
        for listener in (self.control, self.channel, *self.api):
            listener.close()
        for file in (paths.control_socket, paths.channel_socket, paths.server_socket):
            file.unlink(missing_ok=True)


def bind(
    paths: Paths, api: ApiSettings, given: Sequence[socket.socket] = (), *, handover_seconds: float = 2.0
) -> Sockets:
    """Bind and listen on all of them. The lock must be held.

    Args:
        paths: where the local ones are.
        api: where to listen for TCP.
        given: sockets of the public API that listen already; of TCP they stand in for ``api``.
        handover_seconds: how long an address may be in use: the workers of a supervisor that was killed hold the old
            sockets for a moment longer than it did.

    Raises:
        StartError: an address is in use, not of this machine, or not allowed.
    """
    control = _bind_local(paths.control_socket, handover_seconds, shared=True)
    channel = _bind_local(paths.channel_socket, handover_seconds, shared=False)
    local = _bind_local(paths.server_socket, handover_seconds, shared=True)
    tcp = tuple(each for each in given if each.family != socket.AF_UNIX)
    host = tcp[0].getsockname()[0] if tcp else api.host
    tcp = tcp or _bind_tcp(api, handover_seconds)
    port = tcp[0].getsockname()[1]
    more_local = (each for each in given if each.family == socket.AF_UNIX)
    named = f"[{host}]" if ":" in host else host
    return Sockets(control, channel, (*tcp, *more_local, local), f"http://{named}:{port}")


def bind_channel(paths: Paths) -> socket.socket:
    """Bind and listen for a trainer alone, on a host that works for a thord elsewhere. The lock must be held.

    Raises:
        StartError: the address is in use.
    """
    return _bind_local(paths.channel_socket, 2.0, shared=False)


def _bind_local(file: Path, handover_seconds: float, *, shared: bool) -> socket.socket:
    def attempt() -> socket.socket:
        _remove_stale(file)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            listener.bind(socket_address(file))
        finally:
            os.umask(before)
        if shared:
            _share(file)
        listener.listen(_BACKLOG)
        return listener

    try:
        return _patiently(attempt, handover_seconds)
    except _InUseError:
        raise StartError(
            f"{file} is in use by another process; stop it, or choose another home with --home DIR"
        ) from None
    except OSError as error:
        raise StartError(f"cannot listen on {file}: {error.strerror}") from None


def _remove_stale(file: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(socket_address(file))
        except FileNotFoundError:
            return
        except ConnectionRefusedError:
            file.unlink()
        except BlockingIOError:
            raise _InUseError from None  # alive, with a full backlog
        else:
            raise _InUseError


def _share(file: Path) -> None:
    """Open it to the group. Where there is none, or this user may not give files to it, it stays with its owner."""
    with contextlib.suppress(KeyError, PermissionError):
        os.chown(file, -1, grp.getgrnam(GROUP).gr_gid)
        file.chmod(0o660)


def _bind_tcp(api: ApiSettings, handover_seconds: float) -> tuple[socket.socket, ...]:
    try:
        found = socket.getaddrinfo(
            api.host or None, api.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_ADDRCONFIG
        )
    except socket.gaierror as error:
        raise StartError(f"api.host = {api.host!r} is not an address: {error.strerror}; set api.host") from None
    addresses = list(dict.fromkeys((family, str(address[0])) for family, _, _, _, address in found))
    if api.port == 0:
        del addresses[1:]  # each would get a port of its own
    return tuple(_bind_tcp_address(family, address, api, handover_seconds) for family, address in addresses)


def _bind_tcp_address(family: int, address: str, api: ApiSettings, handover_seconds: float) -> socket.socket:
    def attempt() -> socket.socket:
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.bind((address, api.port))
            listener.listen(_BACKLOG)
        except OSError as error:
            listener.close()
            if error.errno == errno.EADDRINUSE:
                raise _InUseError from None
            raise
        return listener

    try:
        return _patiently(attempt, handover_seconds)
    except _InUseError:
        raise StartError(f"port {api.port} is in use by {_listener_on(api.port)}; set api.port or stop it") from None
    except PermissionError:
        raise StartError(f"not permitted to listen on port {api.port}; set api.port to 1024 or more") from None
    except OSError as error:
        raise StartError(f"cannot listen on {api.host}, port {api.port}: {error.strerror}; set api.host") from None


def _patiently(attempt: Callable[[], _T], seconds: float) -> _T:
    deadline = time.monotonic() + seconds
    while True:
        try:
            return attempt()
        except _InUseError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.02)


def _listener_on(port: int) -> str:
    """Who listens on a port, as far as this user may know."""
    import psutil  # only here: it would cost every supervisor memory

    for connection in psutil.net_connections("tcp"):
        listens = connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port
        if listens and connection.pid:
            with contextlib.suppress(psutil.Error):
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    return "another process"

"""Sockets that systemd listens on for us (``thord.socket``), by the protocol of ``sd_listen_fds(3)``.

They outlive the service: what connects while thord starts or is restarted waits, and is answered.
"""

import os
import socket
from collections.abc import MutableMapping

from daemon.supervisor.start_error import StartError

_FIRST = 3


def take(environment: MutableMapping[str, str]) -> tuple[socket.socket, ...]:
    """The sockets handed to this process, taken out of the environment so that no child takes them for its own.

    Raises:
        StartError: one of them is not a listening stream socket.
    """
    addressee, count, _ = (environment.pop(name, "") for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"))
    if addressee != str(os.getpid()) or not count.isdecimal():
        return ()
    return tuple(_listener(descriptor) for descriptor in range(_FIRST, _FIRST + int(count)))


def _listener(descriptor: int) -> socket.socket:
    os.set_inheritable(descriptor, False)
    try:
        given = socket.socket(fileno=descriptor)
        listens = given.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) and given.type == socket.SOCK_STREAM
    except OSError:
        listens = False
    if not listens:
        raise StartError(f"systemd handed over descriptor {descriptor}, which is not a listening stream socket")
    return given

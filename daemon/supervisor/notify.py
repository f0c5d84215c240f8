"""What systemd is told (sd_notify(3)). Without systemd every call is nothing."""

import os
import socket
import time

from daemon import log

_logger = log.get(__name__)


class Notifier:
    """The line to systemd, taken out of the environment so that nobody else speaks in thord's name.

    Attributes:
        watchdog_seconds: how often systemd wants a sign of life; none if it does not.
    """

    def __init__(self) -> None:
        self._address = _address(os.environ.pop("NOTIFY_SOCKET", ""))
        interval = int(os.environ.pop("WATCHDOG_USEC", "0") or 0)
        addressee = os.environ.pop("WATCHDOG_PID", str(os.getpid()))
        meant = self._address is not None and addressee == str(os.getpid())
        self.watchdog_seconds = interval / 1e6 if interval and meant else None
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)

    def ready(self, status: str) -> None:
        """Tell systemd that start, or reload, is complete, however it went."""
        self._send("READY=1", f"STATUS={status}")

    def status(self, status: str) -> None:
        """Set the line that ``systemctl status`` shows."""
        self._send(f"STATUS={status}")

    def reloading(self) -> None:
        """Tell systemd that a reload begins. `ready` must follow."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self, status: str) -> None:
        """Tell systemd that the stop begins."""
        self._send("STOPPING=1", f"STATUS={status}")

    def extend(self, seconds: float) -> None:
        """Tell systemd that start or stop takes longer, and to wait this many seconds from now."""
        self._send(f"EXTEND_TIMEOUT_USEC={int(seconds * 1e6)}")

    def alive(self) -> None:
        """Tell the watchdog of systemd that a round of supervision is complete."""
        self._send("WATCHDOG=1")

    def _send(self, *lines: str) -> None:
        if self._address is None:
            return
        text = "\n".join(line.replace("\n", " ") for line in lines)
        try:
            self._socket.sendto(text.encode(), self._address)
        except OSError as error:
            _logger.warning("systemd could not be told", lines=list(lines), error=str(error))


def _address(text: str) -> str | None:
    """A path, or a name of the abstract namespace, which is written with an @."""
    if text.startswith("@"):
        return "\0" + text[1:]
    return text if text.startswith("/") else None

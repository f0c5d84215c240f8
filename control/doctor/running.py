"""Checks of thord as it runs: its process, workers, port, logs and systemd unit."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING

from control import errors
from control.doctor.context import Finding
from control.paths import is_there

if TYPE_CHECKING:
    from collections.abc import Iterator

    from control.doctor.context import Context, Level

_LEVEL_OF_STATE: dict[str, Level] = {"ready": "ok", "starting": "warn", "stopping": "warn", "degraded": "fail"}

_MENDED = ('"event": "thord starts"', '"event": "settings reloaded"')
"""Since thord logged one of these, errors of before are over, or would have come again."""


def thord(context: Context) -> Iterator[Finding]:
    """Whether thord runs, and in which state."""
    path = context.paths.control_socket
    if context.trouble:
        yield Finding("thord", "fail", context.trouble, "thorctl logs; if it hangs: thorctl stop --now")
    elif context.status is not None:
        state = context.status["state"]
        remedy = {"degraded": "fix what fails below; see thorctl status and thorctl logs", "ready": ""}.get(
            state, "wait"
        )
        yield Finding("thord", _LEVEL_OF_STATE[state], f"{state}, pid {context.status['pid']}", remedy)
    elif is_there(path):
        yield Finding(
            "thord",
            "warn",
            f"not running; {path} was left behind by one that was killed",
            "thorctl start clears it away",
        )
    else:
        yield Finding("thord", "warn", "not running", "thorctl start")


def workers(context: Context) -> Iterator[Finding]:
    """Whether a worker gave up or was restarted."""
    for name, worker in context.status["workers"].items() if context.status else ():
        if worker["state"] == "failed":
            yield Finding(
                name,
                "fail",
                f"gave up after {worker['restarts']} restarts",
                f"thorctl logs {name}; once fixed: thorctl start {name}",
            )
        elif worker["restarts"]:
            yield Finding(name, "warn", f"was restarted {worker['restarts']} times", f"thorctl logs {name}")


def port(context: Context) -> Iterator[Finding]:
    """Whether thord could listen on its port."""
    host, port = context.setting("api", "host"), context.setting("api", "port")
    if context.status is not None or not isinstance(host, str) or not isinstance(port, int) or port == 0:
        return
    with contextlib.suppress(OSError):
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(address)
            except OSError as error:
                from control.service import systemd

                if (unit := systemd.find(context.paths)) and unit.listens:
                    yield Finding("port", "ok", f"systemd listens for thord ({systemd.SOCKET})")
                    return
                yield Finding(
                    "port",
                    "fail",
                    f"{host}:{port} cannot be used: {error.strerror}",
                    f"find what uses it (ss -ltnp 'sport = :{port}'), or set api.port to another",
                )
            else:
                yield Finding("port", "ok", f"{host}:{port} is free")


def logs(context: Context) -> Iterator[Finding]:
    """Whether the logs tell of recent errors."""
    from control.service.logs import Logs, for_people

    try:
        lines = Logs(sorted(context.paths.logs.glob("*.log"))).last(500)
    except errors.ThordError as error:
        yield Finding("logs", "warn", str(error), "use sudo, or become a member of the service's group")
        return
    fresh = max((number for number, line in enumerate(lines) if any(word in line.text for word in _MENDED)), default=0)
    bad = [line for line in lines[fresh:] if '"level": "error"' in line.text or '"level": "critical"' in line.text]
    if bad:
        yield Finding(
            "logs",
            "warn",
            f"{len(bad)} recent errors, the last: {for_people(bad[-1]).strip()}",
            'thorctl logs -n 500 --json | grep \'"level": "error"\'',
        )


def systemd(context: Context) -> Iterator[Finding]:
    """Whether the systemd unit is well, where there is one."""
    from control.service.systemd import find

    unit = find(context.paths)
    if unit is None:
        return
    known = unit.properties()
    state = f"{unit.file}: {known.get('ActiveState')} ({known.get('SubState')}), {known.get('UnitFileState')}"
    if known.get("ActiveState") == "failed":
        scope = "--user " if unit.user else ""
        yield Finding(
            "systemd",
            "fail",
            f"{state}; {known.get('Result')}",
            f"journalctl {scope}-u thord -n 50; then: thorctl start",
        )
    else:
        yield Finding("systemd", "ok", state)

"""thord as a process: its command, its settings while it is down, starting it, waiting until it is ready or gone."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING

from control import errors, exit_status
from control.paths import chosen_home, socket_address

if TYPE_CHECKING:
    from collections.abc import Sequence

    from control.answers import Configuration, Status
    from control.client import Thord
    from control.paths import Paths

_POLL_SECONDS = 0.05
_RIVAL_SECONDS = 1.0
"""A thord that holds the lock of its home listens within this time."""
_HERE = Path(__file__).resolve().parents[2]


def thord_command() -> list[str]:
    """How to run thord: the script beside this interpreter, else its module."""
    script = Path(sys.executable).with_name("thord")
    return [str(script)] if script.exists() else [sys.executable, "-m", "daemon.supervisor.main"]


def resolve_settings(home: str | None) -> Configuration:
    """Read and check the settings without a running thord.

    Raises:
        UsageError: naming every fault.
    """
    chosen = chosen_home(home)
    command = [sys.executable, "-m", "daemon.settings.show", *(["--home", str(chosen)] if chosen else [])]
    done = _with_right_settings(command)
    if done.returncode:
        raise errors.ThordError(f"the settings could not be read:\n{done.stderr.strip()}")
    resolved: Configuration = json.loads(done.stdout)
    return resolved


def check_settings(arguments: Sequence[str]) -> None:
    """See whether thord would start with these arguments, as far as its settings go.

    Raises:
        UsageError: naming every fault.
    """
    _with_right_settings([*thord_command(), "--check", *arguments])


def _with_right_settings(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, capture_output=True, text=True, cwd=_HERE, check=False)
    if done.returncode == exit_status.USAGE:
        raise errors.UsageError(done.stderr.strip(), "bad_configuration")
    return done


def run_in_foreground(arguments: Sequence[str]) -> None:
    """Become thord."""
    command = [*thord_command(), *arguments]
    if command[1:2] == ["-m"]:
        os.chdir(_HERE)
    os.execv(command[0], command)  # noqa: S606


def start_detached(thord: Thord, arguments: Sequence[str], timeout: float) -> Status:
    """Start thord in a session of its own; its status once it is ready, or degraded.

    Where another was started here at the same time and came first, it is the status of that one.

    Raises:
        ThordError: it ended before it was ready (with what it said, and `UsageError` where its settings are wrong), or
            it was not ready in time.
    """
    command = [*thord_command(), *arguments]
    with _stderr_file(thord.paths) as stderr:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            start_new_session=True,
            cwd=_HERE if command[1:2] == ["-m"] else "/",
        )
        try:
            return wait_ready(thord, process.pid, timeout)
        except EndedError:
            status = process.wait()
            rival = _rival(thord) if status == exit_status.FAILED else None
            if rival is None:
                raise _failed_start(status, stderr, thord.paths) from None
        return wait_ready(thord, rival, timeout)


class EndedError(errors.ThordError):
    """The process that was waited for has ended."""


def wait_ready(thord: Thord, pid: int, timeout: float) -> Status:
    """Wait until the thord of that pid is ready, or degraded.

    Raises:
        EndedError: it ended first.
        ThordError: it takes longer than ``timeout`` seconds; it goes on starting.
    """
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        status = _status(thord)
        if status and status["pid"] == pid and _has_settled(status):
            return status
        if wait_gone(pid, _POLL_SECONDS):
            raise EndedError(f"thord (pid {pid}) ended before it was ready; see: thorctl logs")
    raise errors.ThordError(
        f"thord (pid {pid}) is not ready after {timeout:.0f} s and goes on starting; see: thorctl status, thorctl logs",
        "timeout",
    )


def _has_settled(status: Status) -> bool:
    """Ready, or degraded in a way that will not pass by itself: a worker that is on its way may still come up."""
    on_the_way = any(worker["state"] in {"starting", "backoff"} for worker in status["workers"].values())
    return status["state"] == "ready" or (status["state"] == "degraded" and not on_the_way)


def wait_gone(pid: int, timeout: float | None = None) -> bool:
    """Wait until a process has ended; False if it has not within the time-out."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], timeout)[0])
    finally:
        os.close(descriptor)


def end_unresponsive(socket_file: Path, *, now: bool) -> int:
    """End a thord that answers no request, by SIGTERM, then by SIGKILL; the pid it had.

    It is the process that listens on the socket, as the kernel says. Its workers end with it.

    Raises:
        NotPermittedError: it is another user's.
    """
    pid = _listener(socket_file)
    try:
        for number in (signal.SIGTERM, signal.SIGKILL):
            os.kill(pid, number)
            if wait_gone(pid, 5 if now else 60):
                break
    except ProcessLookupError:
        pass
    except PermissionError as error:
        raise errors.NotPermittedError(f"thord (pid {pid}) does not answer and is another user's; use sudo") from error
    return pid


def _listener(socket_file: Path) -> int:
    """The process that listens on a socket, as the kernel has it.

    Raises:
        OSError: nobody does, or this user may not open it.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(socket_address(socket_file))
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 3 * 4)
    return int.from_bytes(credentials[:4], sys.byteorder)


def _rival(thord: Thord) -> int | None:
    """The pid of the thord that came first where two were started at once; None if there is none."""
    deadline = time.monotonic() + _RIVAL_SECONDS
    while time.monotonic() < deadline:
        try:
            return _listener(thord.control_socket)
        except OSError:
            time.sleep(_POLL_SECONDS)
    return None


def _status(thord: Thord) -> Status | None:
    try:
        return thord.status()
    except errors.ThordError:
        return None


def _stderr_file(paths: Paths) -> IO[bytes]:
    """Where a detached thord writes what goes to no log: faults before there is one, crashes of the interpreter."""
    try:
        paths.logs.mkdir(parents=True, exist_ok=True)
        return (paths.logs / "thord.stderr").open("w+b")
    except OSError:
        return tempfile.TemporaryFile()


def _failed_start(status: int, stderr: IO[bytes], paths: Paths) -> errors.ThordError:
    stderr.seek(0)
    said = stderr.read()[-4000:].decode(errors="replace").strip()
    if status == 2:
        return errors.UsageError(said or "thord refuses its settings", "bad_configuration")
    how = f"signal {-status}" if status < 0 else f"status {status}"
    log = paths.log("thord")
    where = f"; its log is {log}" if log.exists() else ""
    return errors.ThordError(f"thord ended with {how} before it was ready{where}\n{said}".rstrip())

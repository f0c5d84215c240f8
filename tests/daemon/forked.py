"""Worker processes that need not import torch: each is forked from a process that has."""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from daemon import assignment

REPOSITORY = Path(__file__).parents[2]


class ForkedProcess:
    """As much of `subprocess.Popen` as tests use of a worker."""

    def __init__(self, pid: int, told: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._told = told

    def poll(self) -> int | None:
        return self._ended(0)

    def wait(self, timeout: float | None = None) -> int:
        status = self._ended(timeout)
        if status is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
        return status

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _ended(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._told], [], [], timeout)[0]:
            self.returncode = told_number(self._told)
            os.close(self._told)
        return self.returncode


def told_number(told: int) -> int:
    number = os.read(told, 4)
    assert number, "the fork server ended"
    return int.from_bytes(number, signed=True)


class ForkServer:
    """Starts `fork_server` when the first worker is asked for. Workers are its children, and end when it ends."""

    def __init__(self) -> None:
        self._orders, self._process = None, None

    def start(
        self, module: str, cwd: Path, environment: Mapping[str, str], descriptors: Sequence[int]
    ) -> ForkedProcess:
        if self._process is None:
            self._begin()
        reading, told = os.pipe()
        order = {
            "module": module,
            "cwd": str(cwd),
            "environment": dict(environment),
            "assignment": assignment.VARIABLE,
        }
        socket.send_fds(self._orders, [json.dumps(order).encode()], [told, *descriptors])
        os.close(told)
        return ForkedProcess(told_number(reading), reading)

    def _begin(self) -> None:
        self._orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            script = Path(__file__).with_name("fork_server.py")
            self._process = subprocess.Popen(
                [sys.executable, script, str(theirs.fileno())],
                env={"OMP_NUM_THREADS": "1", **os.environ, "PYTHONPATH": str(REPOSITORY)},
                pass_fds=[theirs.fileno()],
            )

    def close(self) -> None:
        if self._process is not None:
            self._orders.close()
            self._process.wait(20)

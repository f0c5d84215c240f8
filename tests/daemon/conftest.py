"""A supervisor's end of the channel for tests: starts real workers and speaks to them as the real supervisor does."""

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

import pytest

from control.paths import Paths, at_home, socket_address
from daemon import assignment
from daemon.assignment import Assignment
from daemon.messages import MAX_LINE, Hello, Message, Ready, Reload, Stop, decode_from_worker, encode
from daemon.settings.sections import Tables
from tests.daemon.forked import ForkedProcess, ForkServer

M = TypeVar("M", bound=Message)
REPOSITORY = Path(__file__).parents[2]
DEFAULTS = Tables()
WorkerProcess = subprocess.Popen[bytes] | ForkedProcess


def anything(_: Message) -> bool:
    return True


class WorkerGoneError(AssertionError):
    """The worker ended while a message from it was awaited."""


class SpawnedWorker:
    """A real worker process and the other end of its channel.

    Attributes:
        process: the child itself.
        hello: its first message.
        paths: the places of its home.
    """

    def __init__(self, process: WorkerProcess, stream: socket.socket, paths: Paths, name: str) -> None:
        self.process = process
        self.paths = paths
        self.name = name
        self._stream = stream
        self._received: list[Message] = []
        self._ended = False
        self._changed = threading.Condition()
        threading.Thread(target=self._read, name=f"from {name}", daemon=True).start()
        self.hello = self.expect(Hello)

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def log(self) -> str:
        """What the worker has logged until now."""
        file = self.paths.log(self.name)
        return file.read_text(errors="replace") if file.exists() else ""

    def send(self, message: Message) -> None:
        self._stream.sendall(encode(message))

    def send_raw(self, line: bytes) -> None:
        """Bytes that need not be a message."""
        self._stream.sendall(line)

    def expect(self, kind: type[M], where: Callable[[M], bool] = anything, timeout: float = 60.0) -> M:
        """The first message of ``kind`` that satisfies ``where`` and was not taken before; others stay for later."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                for position, message in enumerate(self._received):
                    if isinstance(message, kind) and where(message):
                        return self._received.pop(position)
                if self._ended:
                    self.process.wait(timeout)
                    raise WorkerGoneError(
                        f"{self.name} ended with {self.process.returncode} before {kind.__name__}\n{self.log[-4000:]}"
                    )
                if not self._changed.wait(deadline - time.monotonic()):
                    kinds = [type(message).__name__ for message in self._received]
                    raise AssertionError(f"no {kind.__name__} in {timeout} s; there were {kinds}\n{self.log[-4000:]}")

    def ask(self, command: Message, kind: type[M], timeout: float = 60.0) -> M:
        """Send a command and await its answer."""
        self.send(command)
        return self.expect(kind, timeout=timeout)

    def reload(self, settings: Tables) -> None:
        """Write the settings anew and send `Reload`."""
        write_settings(self.paths, settings)
        self.send(Reload())

    def received(self, kind: type[M]) -> list[M]:
        """Messages of ``kind`` that nobody has taken yet."""
        with self._changed:
            return [message for message in self._received if isinstance(message, kind)]

    def forget(self) -> None:
        """Drop whatever came in until now."""
        with self._changed:
            self._received.clear()

    def stop(self, grace_seconds: float = 10.0) -> int:
        """Ask it to stop, and wait; the exit status."""
        self.send(Stop(grace_seconds=grace_seconds))
        return self.process.wait(grace_seconds + 20)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self.process.kill()
        self.process.wait(20)

    def hang_up(self) -> None:
        """Close the channel, as a supervisor that died would."""
        self._stream.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(20)
        self._stream.close()

    def _read(self) -> None:
        try:
            with self._stream.makefile("rb") as lines:
                while line := lines.readline(MAX_LINE + 1):
                    message = decode_from_worker(line)
                    with self._changed:
                        self._received.append(message)
                        self._changed.notify_all()
        except OSError:
            pass  # the test closed the socket
        with self._changed:
            self._ended = True
            self._changed.notify_all()


class SpawnWorker(Protocol):
    def __call__(
        self,
        name: str,
        home: Path,
        settings: Tables = ...,
        *,
        api_descriptors: Sequence[int] = ...,
        ready: bool = ...,
    ) -> SpawnedWorker: ...


@pytest.fixture(scope="session")
def fork_server() -> Iterator[ForkServer]:
    """Where workers come from that import torch."""
    server = ForkServer()
    yield server
    server.close()


@pytest.fixture
def spawn_worker(fork_server: ForkServer) -> Iterator[SpawnWorker]:
    """``spawn_worker(name, home, settings)`` does as ``python -m daemon.workers.NAME`` and waits until it is ready.

    Call it again with the same home for a restart or for another worker beside it. ``ready=False`` returns after
    `Hello`. Whatever still runs at the end of the test is killed. Call from the test's own thread: the kernel kills
    a worker when the thread that started it ends.
    """
    with spawning(fork_server) as spawn:
        yield spawn


@pytest.fixture(scope="module")
def spawn_worker_for_module(fork_server: ForkServer) -> Iterator[SpawnWorker]:
    """As `spawn_worker`, for workers that every test of a file uses and none changes."""
    with spawning(fork_server) as spawn:
        yield spawn


@contextlib.contextmanager
def spawning(fork_server: ForkServer) -> Iterator[SpawnWorker]:
    """Spawn workers; kill those that still run at the end."""
    listeners: dict[Path, socket.socket] = {}
    spawned: list[SpawnedWorker] = []

    def spawn(
        name: str,
        home: Path,
        settings: Tables = DEFAULTS,
        *,
        api_descriptors: Sequence[int] = (),
        ready: bool = True,
    ) -> SpawnedWorker:
        paths = at_home(home)
        write_settings(paths, settings)
        if home not in listeners:
            listeners[home] = _listen(paths)
        given = Assignment(
            worker=name,
            token=secrets.token_hex(16),
            supervisor=os.getpid(),
            config=paths.config,
            state=paths.state,
            logs=paths.logs,
            run=paths.run,
            api_descriptors=tuple(api_descriptors),
        )
        module = f"daemon.workers.{name}"
        variables = {
            "OMP_NUM_THREADS": "1",
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, (str(REPOSITORY), os.environ.get("PYTHONPATH")))),
            assignment.VARIABLE: given.model_dump_json(),
        }
        if name == "monitor":  # it has no torch to import, and watches the children of its parent
            process: WorkerProcess = subprocess.Popen(
                [sys.executable, "-m", module],
                env=variables,
                cwd=home,
                pass_fds=tuple(api_descriptors),
                start_new_session=True,
            )
        else:
            process = fork_server.start(module, home, variables, api_descriptors)
        listeners[home].settimeout(0.2)
        worker = SpawnedWorker(process, _accept(listeners[home], process), paths, name)
        spawned.append(worker)
        assert worker.hello.token == given.token
        if ready:
            worker.expect(Ready)
        return worker

    yield spawn
    for worker in spawned:
        worker.close()
    for listener in listeners.values():
        listener.close()


def write_settings(paths: Paths, settings: Tables) -> None:
    """What the supervisor does before it starts a worker or sends `Reload`."""
    paths.run.mkdir(parents=True, exist_ok=True)
    paths.settings_file.write_text(settings.model_dump_json())


def _listen(paths: Paths) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    paths.channel_socket.unlink(missing_ok=True)
    listener.bind(socket_address(paths.channel_socket))
    listener.listen()
    return listener


def _accept(listener: socket.socket, process: WorkerProcess) -> socket.socket:
    while True:
        try:
            stream, _ = listener.accept()
        except TimeoutError:
            assert process.poll() is None, f"the worker ended with {process.returncode} before it said hello"
            continue
        stream.setblocking(True)
        return stream

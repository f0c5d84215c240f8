"""A real Redis server of the test's own, which can be killed and come back."""

import contextlib
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

NEEDS_REDIS = pytest.mark.skipif(
    shutil.which("redis-server") is None, reason="NOT TESTED WITH A REAL REDIS: install redis-server"
)


class RedisServer:
    """Listens on a Unix socket in ``folder``, and where a port is given also there; keeps nothing on disk."""

    def __init__(self, folder: Path, *options: str, before: tuple[str, ...] = ()) -> None:
        self._folder = folder
        self._options = options
        self._before = before
        self._process: subprocess.Popen[bytes] | None = None
        self.socket = folder / "redis.sock"
        self.url = f"unix://{self.socket}"

    def start(self) -> None:
        """Start it and wait until it listens."""
        port = () if "--port" in self._options else ("--port", "0")
        command = [*self._before, "redis-server", "--unixsocket", str(self.socket), "--save", "", *port, *self._options]
        with (self._folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(command, cwd=self._folder, stdout=log, stderr=log)
        deadline = time.monotonic() + 20
        while not self._answers():
            assert self._process.poll() is None, (self._folder / "redis.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.005)

    def kill(self) -> None:
        """Kill it; all that it held is lost."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self.socket.unlink(missing_ok=True)
            self._process = None

    def _answers(self) -> bool:
        import redis

        with contextlib.suppress(redis.RedisError), contextlib.closing(redis.Redis.from_url(self.url)) as client:
            return bool(client.ping())
        return False


@contextlib.contextmanager
def redis_server(folder: Path, *options: str, before: tuple[str, ...] = ()) -> Iterator[RedisServer]:
    """A server that runs inside the ``with``; ``before`` stands in front of its command.

    The folder's name must be short: it holds a socket.
    """
    server = RedisServer(folder, *options, before=before)
    server.start()
    try:
        yield server
    finally:
        server.kill()

"""A control API with stand-ins behind it, on a socket in a thread of its own."""

import asyncio
import contextlib
import os
import socket
import threading
from pathlib import Path

import httpx

from control.paths import Paths, at_home
from daemon.messages import Failure, Scan, Scanned
from daemon.settings.load import SettingsError
from daemon.settings.reload import Changes
from daemon.supervisor.api.app import ControlApi
from daemon.supervisor.api.operations import ApiContext
from daemon.supervisor.forgetting.forgetter import Forgetter
from daemon.supervisor.remote.attempts import RemoteAttempts
from tests.daemon.supervisor.stand_ins import StandIns, learning, publish, tables

GROUP = 4242


class Service:
    """A service that notes what it is asked."""

    def __init__(self, home: Path) -> None:
        self.tables = tables()
        self.asked: list[str] = []
        self.home = home
        self.settings_are_wrong = False

    def status(self):
        workers = {"server": {"state": "running", "pid": 1, "restarts": 0, "uptime_seconds": 1.0}}
        return {"state": "ready", "reasons": [], "home": str(self.home), "pid": os.getpid(), "workers": workers}

    def configuration(self):
        return {"settings": self.tables.model_dump(mode="json"), "origins": {}}

    def request_stop(self, *, now: bool = False) -> None:
        self.asked.append(f"stop {now}")

    async def reload(self) -> Changes:
        if self.settings_are_wrong:
            raise SettingsError(["training.epochs: -1 is not above 0"])
        return Changes(("data.min_conversations",), {"api.port": "thorctl restart"})

    async def start_worker(self, name: str) -> None:
        self.asked.append(f"start {name}")

    async def stop_worker(self, name: str) -> None:
        self.asked.append(f"stop {name}")

    async def restart_worker(self, name: str) -> None:
        self.asked.append(f"restart {name}")


class Scanning(StandIns):
    scan_fails = ""

    async def _answer(self, message):
        if isinstance(message, Scan) and self.scan_fails:
            return Failure(to=message.id, reason=self.scan_fails, retry=True)
        if isinstance(message, Scan):
            return Scanned(to=message.id, added=3, duplicates=1, quarantined=int(message.retry_quarantine))
        return await super()._answer(message)


async def no_restart() -> None:
    """The server is a stand-in."""


class Running:
    """A control API in a thread with a loop of its own."""

    def __init__(self, home: Path, group: int | None = GROUP) -> None:
        self.paths: Paths = at_home(home)
        self.paths.run.mkdir(parents=True)
        publish(self.paths, 1)
        publish(self.paths, 2)
        self.service = Service(home)
        self.workers: StandIns
        self._group = group
        self._up = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self._thread.start()
        assert self._up.wait(10)
        transport = httpx.HTTPTransport(uds=str(self.paths.control_socket))
        self.client = httpx.Client(transport=transport, base_url="http://thord", timeout=10)

    async def _serve(self) -> None:
        self._stop, self._loop = asyncio.Event(), asyncio.get_running_loop()
        self.workers = Scanning(self.paths)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.paths.control_socket))
        self.paths.control_socket.chmod(0o666)  # the door itself must turn people away
        listener.listen(100)
        async with learning(self.workers) as it:
            self.learning = it
            remote = RemoteAttempts(it.jobs, it.store, it.train_jobs, it.paths, lambda: self.service.tables)
            context = ApiContext(self.service, it, Forgetter(it, self.workers, no_restart), remote)
            api = ControlApi(context, owner=os.geteuid(), group=self._group)
            await api.start(listener)
            self._up.set()
            await self._stop.wait()
            await api.stop()

    def in_loop(self, call) -> None:
        """Run something where the API lives."""
        asyncio.run_coroutine_threadsafe(call(), self._loop).result(10)

    def raw(self, content: bytes) -> bytes:
        """Send bytes as they are; what comes back until the connection ends or is idle."""
        with socket.socket(socket.AF_UNIX) as stream:
            stream.settimeout(3)
            stream.connect(str(self.paths.control_socket))
            answer = b""
            with contextlib.suppress(OSError):
                stream.sendall(content)
                stream.shutdown(socket.SHUT_WR)
                while piece := stream.recv(65536):
                    answer += piece
            return answer

    def close(self) -> None:
        self.client.close()
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        assert not self._thread.is_alive()

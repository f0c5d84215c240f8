"""Workers and whole supervisors for tests: real processes with scripted behaviour."""

import asyncio
import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from control.paths import Paths, at_home
from daemon import log
from daemon.messages import FromWorker
from daemon.settings.sections import SupervisionSettings, Tables
from daemon.supervisor.processes.pool import WorkerPool
from daemon.supervisor.processes.roles import ROLES
from daemon.supervisor.processes.worker import Change
from engine.config.training import TrainingSettings

HERE = Path(__file__).parent
REPOSITORY = Path(__file__).parents[3]
SCRIPT = str(HERE / "scripted_worker.py")


class Crew:
    """`WorkerPool` with scripted processes, and what they said."""

    def __init__(self, home: Path, behaviours: dict[str, str], supervision: dict[str, float]) -> None:
        self.paths: Paths = at_home(home)
        for folder in (self.paths.state, self.paths.run, self.paths.logs):
            folder.mkdir(parents=True, exist_ok=True)
        giving_way = TrainingSettings(minimum_share=0.0)  # whatever else this machine does
        self.settings = Tables(supervision=SupervisionSettings(**supervision), training=giving_way)
        self.paths.settings_file.write_text(self.settings.model_dump_json())
        log.configure("thord", self.paths.log("thord"), self.settings.supervision)
        roles = {
            name: dataclasses.replace(ROLES[name], argv=(sys.executable, "-P", SCRIPT, *behaviour.split(",")))
            for name, behaviour in behaviours.items()
        }
        if (
            "describes_itself" not in behaviours.values()
        ):  # on a busy machine the modest ones would slow every test down
            roles = {name: dataclasses.replace(role, nice=0, gives_way=False) for name, role in roles.items()}
        self.changes: list[Change] = []
        self.messages: list[tuple[str, FromWorker]] = []
        self.workers = WorkerPool(self.paths, self.settings, (), roles)
        self.workers.watch(self.changes.append)
        self.workers.subscribe(lambda worker, message: self.messages.append((worker, message)))

    async def until(self, condition: Callable[[], object], seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"waited in vain; {self.workers.statuses()}"
            await asyncio.sleep(0.005)

    async def ready(self, worker: str) -> None:
        await self.until(lambda: self.state(worker) == "running")

    def state(self, worker: str) -> str:
        return str(self.workers.statuses()[worker].state)

    def pid(self, worker: str) -> int:
        pid = self.workers.statuses()[worker].pid
        assert pid is not None
        return pid

    def log(self, process: str) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.paths.log(process).read_text().split("\n") if line]


class Thord:
    """A supervisor process with scripted workers."""

    def __init__(self, home: Path, *arguments: str, behaviours: dict[str, str], **environment: str) -> None:
        self.home = home
        self.paths = at_home(home)
        self.process = subprocess.Popen(
            [
                sys.executable,
                str(HERE / "scripted_thord.py"),
                *(f"{name}={behaviour}" for name, behaviour in behaviours.items()),
                "--",
                *("--home", str(home), "--profile", "tiny", "--set", "api.port=0", "--set", "schedule.enabled=false"),
                *arguments,
            ],
            env={**os.environ, "PYTHONPATH": str(REPOSITORY), **environment},
            stderr=subprocess.PIPE,
            text=True,
        )

    def log(self) -> list[dict[str, object]]:
        file = self.paths.log("thord")
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def until_logged(self, event: str, count: int = 1, **fields: object) -> list[dict[str, object]]:
        def found() -> list[dict[str, object]]:
            return [
                line
                for line in self.log()
                if line["event"] == event and all(line.get(name) == value for name, value in fields.items())
            ]

        wait_until(lambda: len(found()) >= count, what=lambda: f"{event} {fields} in {self.log()}")
        return found()

    def family(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def worker_pid(self, name: str) -> int:
        """The process it was last started as."""
        told = [line for line in self.log() if line["event"] == "worker changed" and line["worker"] == name]
        pids = [line["pid"] for line in told if isinstance(line["pid"], int)]
        assert isinstance(pids[-1], int)
        return pids[-1]

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(20)


def wait_until(
    condition: Callable[[], object], seconds: float = 60.0, what: Callable[[], str] = lambda: "waited in vain"
) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what()
        time.sleep(0.01)


def alive(process: psutil.Process) -> bool:
    """It runs; a zombie that nobody has buried does not."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


StartCrew = Callable[..., contextlib.AbstractAsyncContextManager[Crew]]
StartThord = Callable[..., Thord]

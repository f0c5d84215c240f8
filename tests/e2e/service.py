"""A real thord in a home of its own, driven as its users drive it."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from control.client import Thord
from demo.text import Dialogue, to_json_lines

BIN = Path(sys.executable).parent
REPOSITORY = Path(__file__).parents[2]

# Small enough that a whole cycle takes seconds, large enough that the gate has something to judge.
FAST = (
    "api.port=0",
    "schedule.enabled=false",
    "data.settle_seconds=0.1",
    "data.max_conversations_per_cycle=200",
    "model.hidden=64",
    "model.layers=2",
    "model.heads=4",
    "model.kv_heads=2",
    "model.feed_forward=128",
    "tokenizer.vocabulary=512",
    "training.sequence_length=128",
    "training.threads=1",
    "training.epochs=8",
    "training.batch_size=4",
    "training.validate_every=20",
    "training.validation_share=0",  # all is learned at once; tests/daemon/workers/intake has what becomes of the rest
    "training.learning_rate=4e-3",
    "evaluation.sequence_length=128",
    "gate.bootstrap_resamples=1000",
    "supervision.stop_grace_seconds=10",
)


class Service:
    """One home and the thord that may run on it."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def ctl(self, *words: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Run thorctl; its exit status is for the caller to judge."""
        command = [BIN / "thorctl", "--home", self.home, *words]
        return subprocess.run(command, check=False, capture_output=True, text=True, timeout=timeout)

    def json(self, *words: str, timeout: float = 120) -> object:
        """What a command that must succeed says with --json."""
        done = self.ctl(*words, "--json", timeout=timeout)
        assert done.returncode == 0, f"thorctl {' '.join(words)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return json.loads(done.stdout)

    def start(self, *settings: str) -> None:
        """Start it with the fast settings, then ``settings`` over them."""
        options = [word for setting in (*FAST, *settings) for word in ("--set", setting)]
        done = self.ctl("start", "--profile", "tiny", *options)
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{self.log('thord')}"

    def stop(self) -> None:
        """Stop it; no process may be left."""
        family = self.family()
        done = self.ctl("stop")
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        self.gone(family, seconds=2)

    def ingest(self, name: str, dialogues: list[Dialogue]) -> dict[str, int]:
        """Put one JSONL file into the inbox and have it read."""
        file = self.home.parent / f"{name}.jsonl"
        file.write_text(to_json_lines(dialogues), encoding="utf-8")
        found = self.json("ingest", str(file))
        assert isinstance(found, dict)
        return found

    def train(self, *words: str) -> dict[str, object]:
        """Run one cycle to its end."""
        done = self.ctl("train", "--wait", "--json", *words, timeout=170)
        assert done.stdout, f"{done.returncode}: {done.stderr}\n{self.log('trainer')}"
        cycle = json.loads(done.stdout)
        assert isinstance(cycle, dict)
        return cycle

    def status(self) -> dict[str, object]:
        """Asked again and again by those who wait, who must not take the processor from what they wait for."""
        return dict(Thord(self.home).status())

    def data(self) -> dict[str, int]:
        """What ``thorctl data`` counts, without the files, whose paths are another home's elsewhere."""
        found = self.json("data")
        assert isinstance(found, dict)
        return {name: count for name, count in found.items() if name != "by_source"}

    def url(self) -> str:
        api = self.status()["api"]
        assert isinstance(api, dict)
        return str(api["url"])

    def worker_pid(self, worker: str) -> int | None:
        workers = self.status()["workers"]
        assert isinstance(workers, dict)
        pid = workers.get(worker, {}).get("pid")
        return int(pid) if pid else None

    def progress(self, name: str) -> int:
        """What the trainer last said of the cycle that runs."""
        cycle = self.status()["cycle"]
        return int(cycle.get("progress", {}).get(name, 0)) if isinstance(cycle, dict) else 0

    def pid(self) -> int:
        return int((self.home / "run/thord.pid").read_text().split()[0])

    def family(self) -> list[psutil.Process]:
        """The supervisor and everything below it."""
        try:
            supervisor = psutil.Process(self.pid())
            return [supervisor, *supervisor.children(recursive=True)]
        except (FileNotFoundError, ValueError, IndexError, psutil.NoSuchProcess):
            return []

    def kill(self) -> None:
        """SIGKILL the supervisor; every worker must be gone within a second."""
        family = self.family()
        os.kill(self.pid(), signal.SIGKILL)
        self.gone(family, seconds=1)

    @staticmethod
    def gone(family: list[psutil.Process], seconds: float) -> None:
        """Wait until none of them runs; nobody may be there to bury them."""
        deadline = time.monotonic() + seconds
        while alive := [process for process in family if runs(process)]:
            assert time.monotonic() < deadline, f"still alive after {seconds} s: {alive}"
            time.sleep(0.01)

    def log(self, process: str) -> str:
        """The end of a log, for a failed assertion to show."""
        file = self.home / f"logs/{process}.log"
        return file.read_text(errors="replace")[-4000:] if file.exists() else f"no {file}"

    def until(self, condition: Callable[[], bool], seconds: float = 60) -> None:
        """Wait for what only files or other processes tell."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"waited in vain\n{self.log('thord')}"
            time.sleep(0.02)


def runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@contextlib.contextmanager
def running(home: Path, *settings: str) -> Iterator[Service]:
    service = Service(home)
    home.mkdir(parents=True, exist_ok=True)
    try:
        service.start(*settings)
        yield service
    finally:
        family = service.family()
        service.ctl("stop", "--now")
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

"""A service that trains on two processes: a cycle outlives the death of one, and ends with a promoted version."""

import os
import signal
from pathlib import Path

import psutil

from demo.text import Dialogue
from tests.e2e.service import Service, running


def ranks(service: Service) -> dict[int, psutil.Process]:
    """The processes that train, by rank."""
    trainer = service.worker_pid("trainer")
    children = psutil.Process(trainer).children() if trainer else []
    return {int(child.environ()["RANK"]): child for child in children}


def processes_shown(service: Service) -> int:
    cycle = service.status()["cycle"]
    progress = cycle.get("progress", {}) if isinstance(cycle, dict) else {}
    return int(progress.get("processes", 0))


def test_a_cycle_on_two_processes_is_promoted_though_one_is_killed(tmp_path: Path, library: list[Dialogue]) -> None:
    with running(tmp_path / "home", "training.distributed.processes=2") as service:
        service.ingest("library", library)
        service.json("train")
        service.until(lambda: processes_shown(service) == 2)
        assert "2 processes" in service.ctl("status").stdout
        os.kill(ranks(service)[1].pid, signal.SIGKILL)
        service.until(lambda: service.status()["version"] == "000001", seconds=90)
        last = service.json("cycle", "1")
        assert isinstance(last, dict)
        assert last["state"] == "promoted"
        assert last["attempt"] == 2
        assert "rank 1" in (service.home / "logs/trainer.log").read_text()

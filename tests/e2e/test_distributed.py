"""A service that trains on two processes promotes what they learned, although one of them is killed."""

import json
import os
import signal
from pathlib import Path

import psutil

from control.client import Thord
from demo.text import Dialogue
from tests.e2e.service import Service, running


def ranks(service: Service) -> dict[int, psutil.Process]:
    """The processes that train together, by number."""
    trainer = service.worker_pid("trainer")
    assert trainer
    return {int(process.environ()["RANK"]): process for process in psutil.Process(trainer).children()}


def test_a_cycle_on_two_processes_survives_the_death_of_one(tmp_path: Path, library: list[Dialogue]) -> None:
    with running(tmp_path / "home", "training.distributed.processes=2", "training.checkpoint_every=3") as service:
        service.ingest("library", library)
        service.json("train")
        service.until(lambda: service.progress("step") > 6, seconds=90)
        assert service.progress("processes") == 2
        assert "2 processes" in service.ctl("status").stdout
        first = ranks(service)
        assert first.keys() == {0, 1}
        os.kill(first[1].pid, signal.SIGKILL)
        service.gone(list(first.values()), seconds=10)
        cycle = Thord(service.home).wait(1)
        assert (cycle["state"], cycle["attempt"]) == ("promoted", 2)
        said = [json.loads(line) for line in (service.home / "logs/trainer.log").read_text().splitlines()]
        assert any("SIGKILL" in str(line.get("reason")) and "rank 1" in str(line.get("reason")) for line in said)
        began = [line["first"] for line in said if line["event"] == "training steps"]
        assert began[0] == 0
        assert began[1] >= 6, "it goes on from a checkpoint"
        service.stop()

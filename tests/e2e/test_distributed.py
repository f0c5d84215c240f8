"""A service that trains on two processes promotes what they learned."""

from pathlib import Path

from demo.text import Dialogue
from tests.e2e.service import Service, running


def processes_shown(service: Service) -> int:
    cycle = service.status()["cycle"]
    progress = cycle.get("progress", {}) if isinstance(cycle, dict) else {}
    return int(progress.get("processes", 0))


def test_a_cycle_on_two_processes_is_promoted(tmp_path: Path, library: list[Dialogue]) -> None:
    with running(tmp_path / "home", "training.distributed.processes=2") as service:
        service.ingest("library", library)
        service.json("train")
        service.until(lambda: processes_shown(service) == 2)
        assert "2 processes" in service.ctl("status").stdout
        service.until(lambda: service.status()["version"] == "000001", seconds=90)
        cycle = service.json("cycle", "1")
        assert isinstance(cycle, dict)
        assert (cycle["state"], cycle["attempt"]) == ("promoted", 1)

"""Sixteen clients stream without pause while versions come and go: no answer fails, is cut, or is of two versions."""

from demo.text import Dialogue
from demo.traffic import Traffic
from tests.e2e.service import Service


def test_promotions_and_rollbacks_under_load(service: Service, library: list[Dialogue], town: list[Dialogue]) -> None:
    service.ingest("library", library)
    assert service.train()["state"] == "promoted"
    service.ingest("town", town)
    second = service.train()
    assert second["version"] == "000002"
    with Traffic(service.url(), clients=16) as traffic:
        traffic.until_version_answers("000002", seconds=30)
        for turn in range(20):
            version = 1 + turn % 2
            done = service.ctl("promote", str(version), "--force")
            assert done.returncode == 0, done.stderr
            assert service.status()["version"] == f"{version:06d}"
        traffic.until_version_answers("000001", seconds=30)
    assert traffic.faults == []
    assert set(traffic.by_version) == {"000001", "000002"}
    assert sum(traffic.by_version.values()) >= 32

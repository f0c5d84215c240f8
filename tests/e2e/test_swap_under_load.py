"""Sixteen clients stream without pause while versions come and go: no answer fails, is cut, or is of two versions."""

from pathlib import Path

import pytest

from demo.text import Dialogue
from demo.traffic import Traffic
from tests.e2e.service import running

ONE_FITS = (
    "model.context=512",
    "model.feed_forward=1024",
    "inference.precision=fp32",
    "inference.max_batch=16",
    "inference.memory_megabytes=7",
)
"""A version takes 1.9 MiB of weights, and 4 of cache in ordinary use: beside the weights of another there are 5.1."""


@pytest.mark.parametrize(("settings", "turns"), [((), 10), (ONE_FITS, 6)], ids=["beside", "in place"])
def test_promotions_and_rollbacks_under_load(
    tmp_path: Path, library: list[Dialogue], town: list[Dialogue], settings: tuple[str, ...], turns: int
) -> None:
    with running(tmp_path / "home", *settings) as service:
        service.ingest("library", library)
        assert service.train()["state"] == "promoted"
        service.ingest("town", town)
        second = service.train()
        assert (second["state"], second["version"]) == ("promoted", "000002")
        with Traffic(service.url(), clients=16) as traffic:
            traffic.until_version_answers("000002", seconds=30)
            for turn in range(turns):
                version = 1 + turn % 2
                done = service.ctl("promote", str(version), "--force")
                assert done.returncode == 0, done.stderr
                assert service.status()["version"] == f"{version:06d}"
                traffic.until_version_answers(f"{version:06d}", seconds=30)
        assert ("answers pause" in service.log("server")) == bool(settings)
    assert traffic.faults == []
    assert set(traffic.by_version) == {"000001", "000002"}
    assert sum(traffic.by_version.values()) >= 32

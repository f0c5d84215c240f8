"""Sixteen clients stream without pause while versions come and go: no answer fails, is cut, or is of two versions."""

from pathlib import Path

import pytest

from demo.text import Dialogue
from demo.traffic import Traffic
from tests.e2e.service import Service, running

SETTINGS = ("model.context=512", "model.feed_forward=1024", "inference.precision=fp32", "inference.max_batch=16")
ONE_FITS = "inference.memory_megabytes=7"
"""A version takes 1.9 MiB of weights, and 4 of cache in ordinary use: beside the weights of another there are 5.1."""


@pytest.mark.parametrize("turns", [10, pytest.param(20, marks=pytest.mark.soak)])
def test_promotions_and_rollbacks_under_load(
    tmp_path: Path, library: list[Dialogue], town: list[Dialogue], turns: int
) -> None:
    """Beside each other first, then where only one version fits, so that one takes the place of the other."""
    with running(tmp_path / "home", *SETTINGS) as service:
        service.ingest("library", library)
        assert service.train("--epochs", "3")["state"] == "promoted"
        service.ingest("town", town)
        assert service.train("--steps", "20")["version"] == "000002"
        assert service.ctl("promote", "2", "--force").returncode == 0, "good or not, it is another version"
        swap_to_and_fro(service, turns)
        assert "answers pause" not in service.log("server")
        service.stop()
        service.start(*SETTINGS, ONE_FITS)
        swap_to_and_fro(service, turns=6)
        assert "answers pause" in service.log("server")


def swap_to_and_fro(service: Service, turns: int) -> None:
    """From the second version, which serves, to the first and back, under traffic in which nothing may go wrong."""
    with Traffic(service.url(), clients=16) as traffic:
        traffic.until_version_answers("000002", seconds=30)
        for turn in range(turns):
            version = 1 + turn % 2
            done = service.ctl("promote", str(version), "--force")
            assert done.returncode == 0, done.stderr
            assert service.status()["version"] == f"{version:06d}"
            traffic.until_version_answers(f"{version:06d}", seconds=30)
    assert traffic.faults == []
    assert set(traffic.by_version) == {"000001", "000002"}
    assert sum(traffic.by_version.values()) >= 32

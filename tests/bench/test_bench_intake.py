"""What the benchmark of the intake checks: that everybody read all records, at a tiny size."""

import pytest

from tests.bench.benchmark import printed_by

pytestmark = pytest.mark.bench


def test_ours_and_the_peer_read_every_record() -> None:
    printed = printed_by("bench_intake.py", "--records=20", "--rounds=1", "--files=0")
    assert "20 OpenAI records of" in printed
    assert "datasets.load_dataset" in printed

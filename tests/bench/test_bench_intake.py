"""What the benchmark of the intake checks: that everybody read all records, at a tiny size."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
pytestmark = pytest.mark.bench


def test_ours_and_the_peer_read_every_record() -> None:
    command = [sys.executable, "bench/bench_intake.py", "--records=20", "--rounds=1", "--files=0"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=REPOSITORY, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "20 OpenAI records of" in done.stdout
    assert "datasets.load_dataset" in done.stdout

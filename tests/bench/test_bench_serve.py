"""What the benchmark of answering checks before it measures, at a tiny size."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
pytestmark = pytest.mark.bench


def test_ours_and_the_peers_do_the_same_work() -> None:
    command = [sys.executable, "bench/bench_serve.py", "--shape", "tiny", "--only-check"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=REPOSITORY, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "checked: in float32 the greedy tokens of ours and transformers are equal (8 each)" in done.stdout

"""A benchmark as a user runs it."""

import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def printed_by(script: str, *options: str) -> str:
    """What ``bench/SCRIPT`` prints; it has to succeed."""
    command = [sys.executable, f"bench/{script}", *options]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=REPOSITORY, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout

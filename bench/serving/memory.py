"""What ours and llama.cpp hold in memory, each in a process of its own, 4-bit weights and eight clients."""

import json
import subprocess
import sys
from pathlib import Path

import harness

from serving.contestants import llama_file
from serving.weights import Shape, Weights

_ROWS = 8


def compare(weights: Weights, shape: Shape) -> None:
    """Measure, and print a table."""
    lengths = [str(_ROWS), str(shape.prompt + shape.answer), str(shape.prompt)]
    ours = _measured("our_memory", str(weights.version), "int4", *lengths)
    theirs = _measured("peers.llama_memory", str(llama_file(weights, shape, "Q4_0")), *lengths)
    kinds = {
        "weights": "weights",
        "cache": "caches",
        "computing": "buffers to compute in",
        "grown": "what the process grew by",
        "resident": "the process, resident",
    }
    rows = [[kinds[kind], *(f"{each.get(kind, 0) / 1e6:.1f}" for each in (ours, theirs))] for kind in kinds]
    harness.table(f"memory, int4, {_ROWS} clients, MB", rows, ["", "ours int4", "llama.cpp Q4_0"])
    for kind in ("grown", "resident"):
        ratio = ours[kind] / theirs[kind]
        verdict = harness.verdict(reached=ratio <= 1)
        print(f"{kinds[kind]}: ours int4 / llama.cpp Q4_0 = {ratio:.2f} (goal at most 1.0): {verdict}")


def _measured(module: str, *arguments: str) -> dict[str, int]:
    command = [sys.executable, "-m", f"serving.{module}", *arguments]
    ended = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False)
    if ended.returncode:
        raise SystemExit(f"{module} failed: {ended.stderr.strip()[-500:]}")
    found: dict[str, int] = json.loads(ended.stdout)
    return found

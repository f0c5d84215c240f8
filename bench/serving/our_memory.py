"""What our engine takes in a process of its own: ``python -m serving.our_memory FOLDER KIND ROWS LENGTH PROMPT``.

As many sequences as rows, each a prompt of PROMPT random tokens and greedy tokens up to LENGTH positions. Prints JSON.
"""

import json
import os
import random
import sys
from pathlib import Path

import harness
import torch

from serving.ours import Ours


def resident_bytes() -> int:
    """Of this process."""
    return int(harness.resident_megabytes(os.getpid()) * (1 << 20))


def main() -> None:
    """Load, fill, and say what was taken."""
    folder, quantization = Path(sys.argv[1]), sys.argv[2]
    rows, length, prompt = map(int, sys.argv[3:6])
    before = resident_bytes()
    ours = Ours(folder, torch.bfloat16, "cpu", quantization=quantization)
    draws = random.Random(0)
    ours.generate([[draws.randrange(8, 256) for _ in range(prompt)] for _ in range(rows)], length - prompt)
    resident = resident_bytes()
    answer = {"weights": ours.weight_bytes, "cache": ours.cache_bytes, "grown": resident - before}
    print(json.dumps(answer | {"resident": resident}))
    ours.close()


if __name__ == "__main__":
    main()

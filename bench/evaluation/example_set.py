"""What every contestant of evaluation scores: the same weights, and examples of a context and what continues it."""

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from engine.data import shard
from engine.data.encoded import Encoded

SEED = 1
MEAN_TOKENS, SPREAD = 120, 0.6
"""Of an example: the mean of its length, and the deviation of the length's logarithm."""
SCORED_SHARE = 0.5
"""Of an example, what continues its context."""
SCORED_SHARE_OF_CHOICES = 0.2
"""The same where an example is one of several choices."""
LONGEST = 512
_WARM_UP = 4


def write(folder: Path, count: int, vocabulary: int, choices: int) -> None:
    """Draw examples; of each context ``choices`` have it in common and go on differently."""
    generator = np.random.default_rng(SEED)
    log_mean = np.log(MEAN_TOKENS) - SPREAD**2 / 2
    sizes = np.exp(generator.normal(log_mean, SPREAD, size=count // choices)).round().clip(8, LONGEST).astype(int)
    share = SCORED_SHARE if choices == 1 else SCORED_SHARE_OF_CHOICES
    examples = []
    for tokens in sizes.tolist():
        context = math.ceil((1 - share) * tokens)
        begins = generator.zipf(1.2, size=context) % vocabulary
        for _ in range(choices):
            ids = np.concatenate([begins, generator.zipf(1.2, size=tokens - context) % vocabulary])
            examples.append(Encoded(ids.astype(np.int32), np.arange(tokens) >= context))
    shard.write(folder, examples)


def read(folder: Path) -> list[Encoded]:
    """The examples, what is scored supervised."""
    stored = shard.read(folder)
    spans = zip(stored.starts[:-1].tolist(), stored.starts[1:].tolist(), strict=True)
    return [Encoded(stored.ids[start:end], stored.supervised[start:end]) for start, end in spans]


def options() -> argparse.Namespace:
    """Of a contestant's command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("weights", type=Path)
    parser.add_argument("examples", type=Path)
    parser.add_argument("--batch", type=int, required=True)
    return parser.parse_args()


def take_turns(score: Callable[[list[Encoded]], list[float]], examples: list[Encoded]) -> None:
    """Score some, then all of them for each line on standard input; say in JSON how long it took, and what came out."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no answer
    score(examples[:_WARM_UP])
    print(json.dumps({}), file=answers, flush=True)
    for _ in sys.stdin:
        began = time.perf_counter()
        found = score(examples)
        print(json.dumps({"seconds": time.perf_counter() - began, "found": found}), file=answers, flush=True)

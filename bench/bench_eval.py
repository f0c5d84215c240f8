"""Evaluating beside lm-evaluation-harness: examples a second, log-likelihoods of the same weights in float32.

``python bench/bench_eval.py [--shape NAME] [--isa avx2] [--choices N]``. An example is a context and what continues
it, of which the log-likelihood is wanted; both get token ids. They are processes that take turns. The peer runs with
its own batch size, with larger ones, and with an allocator that keeps freed memory; the best of them counts.
"""

import argparse
import importlib.util
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import harness
import processor
import torch
from harness import KEEPS_FREED_MEMORY, Contestant
from serving import weights
from serving.weights import SHAPES, Weights

from engine.native import library

sys.path.insert(0, str(Path(__file__).parent / "evaluation"))
import example_set

GOAL, GOAL_OF_CHOICES = 2.0, 2.5
SAME = 1e-3


@dataclass(frozen=True)
class Entry:
    """Who takes part, and how."""

    name: str
    script: str
    batch: int
    environment: dict[str, str] = field(default_factory=dict)


OURS = Entry("ours", "ours", 8)
PEERS = [
    Entry("hf, batches of 1", "lm_evaluation_harness", 1),
    Entry("hf, batches of 8", "lm_evaluation_harness", 8),
    Entry("hf, batches of 8, allocator", "lm_evaluation_harness", 8, KEEPS_FREED_MEMORY),
    Entry("hf, batches of 32, allocator", "lm_evaluation_harness", 32, KEEPS_FREED_MEMORY),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", choices=SHAPES, default="llama-14m")
    parser.add_argument("--examples", type=int, default=64)
    parser.add_argument("--choices", type=int, default=1, help="examples that have a context in common")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--isa", help=processor.HELP)
    parser.add_argument("--only", action="append", help="names of peers")
    options = parser.parse_args()
    if options.isa:
        processor.restrict(options.isa)
    processor.require_kernels()
    print(f"our kernels: {library.chosen()}; processor: {processor.name()}")
    peers = [entry for entry in PEERS if not options.only or entry.name in options.only]
    if not importlib.util.find_spec("lm_eval"):
        print("LEFT OUT, lm-eval is not installed: " + "; ".join(entry.name for entry in peers))
        peers = []
    with tempfile.TemporaryDirectory(prefix="thord-bench-") as name:
        folder = Path(name)
        shape = SHAPES[options.shape]
        made = weights.make(folder, shape, torch.float32)
        example_set.write(folder / "examples", options.examples, shape.vocabulary, options.choices)
        entries = [OURS, *peers]
        seconds, found = race(entries, made, folder, options.rounds)
        tokens = sum(len(each.ids) for each in example_set.read(folder / "examples"))
    title = f"{options.shape}, {options.examples} examples, {options.choices} of a context, {tokens} tokens"
    report(title, entries, options.examples, seconds, GOAL if options.choices == 1 else GOAL_OF_CHOICES)
    difference = max((abs(one - two) for each in found[1:] for one, two in zip(found[0], each, strict=True)), default=0)
    print(f"  log-likelihoods of examples differ by {difference:.1e} at most")
    if difference > SAME:
        raise SystemExit(f"that is more than {SAME}: this is not the same work")


def race(
    entries: Sequence[Entry], made: Weights, folder: Path, rounds: int
) -> tuple[list[list[float]], list[list[float]]]:
    """Let them take turns: the seconds of each, and the log-likelihoods that it found."""
    contestants = []
    try:
        for entry in entries:
            script = Path(__file__).parent / "evaluation" / f"{entry.script}.py"
            where = made.version if entry is OURS else weights.hugging_face(made)
            command = [sys.executable, script, where, folder / "examples", f"--batch={entry.batch}"]
            contestants.append(Contestant(entry.name, command, entry.environment, folder / f"{entry.name}.log"))
        for contestant in contestants:
            contestant.answer()  # it is warm
        answers = [[contestant.ask("") for contestant in contestants] for _ in range(rounds)]
    finally:
        for contestant in contestants:
            contestant.close()
    turns = list(zip(*answers, strict=True))
    return [[turn["seconds"] for turn in each] for each in turns], [each[-1]["found"] for each in turns]


def report(title: str, entries: Sequence[Entry], count: int, seconds: Sequence[Sequence[float]], goal: float) -> None:
    """The table, and whether the goal was reached."""
    rates = [count / statistics.median(each) for each in seconds]
    rows = [
        [entry.name, f"{rate:.2f}", f"{rates[0] / rate:.2f}" if entry is not OURS else ""]
        for entry, rate in zip(entries, rates, strict=True)
    ]
    harness.table(title, rows, ["", "examples/s", "ours is x"])
    if len(rates) > 1:
        ratio = rates[0] / max(rates[1:])
        verdict = harness.verdict(reached=ratio >= goal)
        print(f"  goal: ours beside the best of them >= {goal:g}: {ratio:.2f}, {verdict}")


if __name__ == "__main__":
    main()

"""Training beside transformers.Trainer and a loop written by hand: tokens a second and peak memory on the same work.

``python bench/bench_train.py`` runs the sizes that goals are set for; ``--size base --device cuda`` is for a GPU.
``--isa avx2`` has everybody use no instructions beyond those; where it has none for bf16, they train in float32, as
with ``--float32``. ``--only "Trainer, allocator"`` runs that one, and ours on the same data.
"""

import argparse
import importlib.util
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import harness
import processor
import torch
from harness import KEEPS_FREED_MEMORY

from engine.native import library

sys.path.insert(0, str(Path(__file__).parent / "training"))
import checkpoints
import gemm
import work
from goals import GOALS, Goals, judged
from race import Course, Entry, Result, race
from work import Size

AS_SUPERVISED = {"OMP_WAIT_POLICY": "PASSIVE"}
"""What our supervisor gives its trainer, so that it does not stand in the way of the server."""
SAME_LOSS = 1e-3
_LARGE = 50_000_000
"""Parameters of a model that does not fit ten times into the memory of a small machine."""


ENTRIES = [
    Entry("ours", "ours"),
    Entry("ours, as supervised", "ours", environment=AS_SUPERVISED),
    Entry("ours, compiled", "ours", compiled=True),
    Entry("Trainer", "trainer"),
    Entry("Trainer, allocator", "trainer", environment=KEEPS_FREED_MEMORY),
    Entry("Trainer, allocator, compiled", "trainer", compiled=True, environment=KEEPS_FREED_MEMORY),
    Entry("bare loop", "bare"),
    Entry("bare loop, allocator", "bare", environment=KEEPS_FREED_MEMORY),
    Entry("bare loop, allocator, compiled", "bare", compiled=True, environment=KEEPS_FREED_MEMORY),
    Entry("ours, ragged", "ours", "ragged"),
    Entry("Trainer, ragged", "trainer", "ragged"),
    Entry("Trainer, ragged, allocator", "trainer", "ragged", environment=KEEPS_FREED_MEMORY),
]


def check_in_float32(entries: Sequence[Entry], course: Course) -> str:
    """That everybody computes the same: the first losses, where rounding makes no difference, one after the other."""
    exact = replace(course, float32=True, rounds=0)
    plain = [each for each in entries if each.data == "packed" and not each.compiled and not each.environment]
    results = [result for entry in plain for result in race([entry], exact)]
    difference = check_losses(results)
    names = ", ".join(result.entry.name for result in results)
    equal = f"the first {course.warm_up} losses are equal to {difference:.0e}"
    return f"in float32, at a rate of {work.CHECKED_RATE}, {equal}: {names}"


def check_losses(results: Sequence[Result]) -> float:
    """The largest difference of the first losses on packed data from ours."""
    packed = [result for result in results if result.entry.data == "packed"]
    if not packed:
        return 0.0
    first = packed[0].losses
    difference = max(abs(one - two) for result in packed for one, two in zip(first, result.losses, strict=True))
    if difference > SAME_LOSS:
        for result in packed:
            print(result.entry.name, result.losses)
        raise SystemExit(f"the first losses differ by {difference:.2g}: this is not the same work")
    return difference


def taking_part(device: str, *, compiled: bool) -> list[Entry]:
    """Those that can run here; what is left out is said."""
    left_out = {}
    if not importlib.util.find_spec("transformers") or not importlib.util.find_spec("accelerate"):
        left_out["transformers and accelerate are not installed"] = [e for e in ENTRIES if e.script == "trainer"]
    if not compiled:
        left_out["--no-compile"] = [entry for entry in ENTRIES if entry.compiled]
    elif device == "cpu" and not shutil.which("g++"):
        left_out["there is no g++ to compile with"] = [entry for entry in ENTRIES if entry.compiled]
    for reason, entries in left_out.items():
        print(f"LEFT OUT, {reason}: {', '.join(entry.name for entry in entries)}")
    gone = [entry for entries in left_out.values() for entry in entries]
    return [entry for entry in ENTRIES if entry not in gone]


def heats(entries: list[Entry], size: Size) -> list[list[Entry]]:
    """Who runs together: all, or, where a model is large, each peer with ours on the same data and nobody else."""
    if gemm.parameters(size) < _LARGE:
        return [entries]
    ours = {entry.data: entry for entry in reversed(entries) if entry.script == "ours"}
    return [[ours[entry.data], entry] for entry in entries if entry.script != "ours"] or [entries]


def chosen(entries: list[Entry], names: Sequence[str]) -> list[Entry]:
    """Those with these names, and ours on the same data; all where none is named."""
    named = [entry for entry in entries if entry.name in names]
    data = {entry.data for entry in named if entry.script != "ours"} - {e.data for e in named if e.script == "ours"}
    ours = [next(entry for entry in entries if entry.script == "ours" and entry.data == each) for each in sorted(data)]
    return ours + named if names else entries


def compare(name: str, options: argparse.Namespace) -> None:
    """One size: race, check, print."""
    size: Size = work.SIZES[name]
    entries = chosen(taking_part(options.device, compiled=options.compile), options.only)
    folder = Path(tempfile.mkdtemp(prefix="thord-bench-"))
    course = Course(
        folder, name, options.device, options.float32, options.warm_up, rounds=options.rounds, steps=options.steps
    )
    precision = "float32" if course.float32 else "bf16"
    goals = GOALS.get((name, precision), Goals({}))
    rows, notes = [], []
    try:
        work.write(folder, size, course.in_all + 1)
        if not course.float32:
            notes.append(check_in_float32(entries, course))
        peak = gemm.peak(size, options.device, torch.float32 if course.float32 else torch.bfloat16)
        seconds_per_token = gemm.flops_per_token(size) / peak
        for heat in heats(entries, size):
            results = race(heat, course)
            rows += _rows(results, seconds_per_token)
            notes += _notes(results, course.warm_up)
            notes += judged(goals, results, seconds_per_token)
    finally:
        shutil.rmtree(folder)
    harness.table(
        f"{name}: {gemm.parameters(size) / 1e6:.1f}M parameters, {precision}, {size.batch_size} rows of {size.length}, "
        f"{options.device}; products at its shapes: {peak / 1e9:,.0f} GFLOP/s",
        rows,
        ["", "tokens/s", "ours is x", "of the peak", "peak memory", "ours is x"],
    )
    for note in dict.fromkeys(notes):
        print(f"  {note}")
    if options.device == "cpu" and not course.float32:
        print(f"  {checkpoints.measure(size)}")


def _rows(results: Sequence[Result], seconds_per_token: float) -> list[list[str]]:
    """Lines of the table; ``seconds_per_token`` at the peak of the products."""
    ours = {result.entry.data: result for result in reversed(results) if result.entry.script == "ours"}
    return [
        [
            result.entry.name,
            f"{result.rate:,.0f}",
            f"{ours[result.entry.data].rate / result.rate:.2f}" if result.entry.data in ours else "",
            f"{result.rate * seconds_per_token:.0%}" if result.entry.data == "packed" else "",
            f"{result.peak_bytes / 2**20:,.0f} MB",
            f"{ours[result.entry.data].peak_bytes / result.peak_bytes:.2f}" if result.entry.data in ours else "",
        ]
        for result in results
    ]


def _notes(results: Sequence[Result], warm_up: int) -> list[str]:
    """What else there is to say of a heat, its losses having been checked."""
    difference = check_losses(results)
    notes = [f"the first {warm_up} losses on packed data are equal to {difference:.0e}"]
    ours = [result for result in results if result.entry.script == "ours"]
    notes += [f"{each.entry.name}: {each.data_share:.2%} of the time is waiting for data (goal < 1%)" for each in ours]
    return notes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", action="append", choices=work.SIZES)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=4, help="of one turn")
    parser.add_argument("--no-compile", dest="compile", action="store_false")
    parser.add_argument("--only", action="append", default=[], help="names of contestants")
    parser.add_argument("--warm-up", type=int, default=work.WARM_UP, help="steps of which the losses are compared")
    parser.add_argument("--isa", help=processor.HELP)
    parser.add_argument("--float32", action="store_true", help="train in float32 instead of bf16")
    options = parser.parse_args()
    if options.isa:
        processor.restrict(options.isa)
        options.float32 |= options.isa not in {"avx512bf16", "amx"}
    processor.require_kernels()
    print(f"our kernels: {library.chosen()}; processor: {processor.name()}")
    for name in options.size or ["llama-14m", "gpt2-124m"]:
        compare(name, options)


if __name__ == "__main__":
    main()

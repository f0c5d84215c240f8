"""Training beside transformers.Trainer and a loop written by hand: tokens a second and peak memory on the same work.

``python bench/bench_train.py`` runs the sizes that goals are set for; ``--size base --device cuda`` is for a GPU.
Contestants are processes that train in turn, some steps each, so that a drift of the machine hits all of them alike.
"""

import argparse
import importlib.util
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import harness

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "training"))
import checkpoints  # noqa: E402
import gemm  # noqa: E402
import work  # noqa: E402
from work import Size  # noqa: E402

KEEPS_FREED_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(1 << 30), "MALLOC_TRIM_THRESHOLD_": str((1 << 31) - 1)}
"""What our trainer asks of glibc; the peers get it through the environment, at their best."""
AS_SUPERVISED = {"OMP_WAIT_POLICY": "PASSIVE"}
"""What our supervisor gives its trainer, so that it does not stand in the way of the server."""
SAME_LOSS = 1e-3
_LARGE = 50_000_000
"""Parameters of a model that does not fit ten times into the memory of a small machine."""


@dataclass(frozen=True)
class Entry:
    """Who takes part, and how."""

    name: str
    script: str
    data: str = "packed"
    compiled: bool = False
    environment: dict[str, str] = field(default_factory=dict)


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


@dataclass
class Result:
    """What one contestant did."""

    entry: Entry
    rates: list[float]
    losses: list[float]
    peak_bytes: int
    data_share: float

    @property
    def rate(self) -> float:
        """Tokens a second, the median of its turns."""
        return statistics.median(self.rates)


class Contest:
    """One contestant's process."""

    def __init__(
        self, entry: Entry, folder: Path, size: str, steps: int, device: str, *, float32: bool = False
    ) -> None:
        self.entry = entry
        command = [sys.executable, HERE / "training" / f"{entry.script}.py", folder, size, entry.data]
        command += [f"--steps={steps}", f"--device={device}", *(["--compiled"] if entry.compiled else [])]
        command += ["--float32"] if float32 else []
        environment = os.environ | {"PYTHONPATH": str(HERE.parent), "TOKENIZERS_PARALLELISM": "false"}
        self._errors = folder / f"{entry.name}.log"
        with self._errors.open("w") as errors:
            self.process = subprocess.Popen(
                command,
                env=environment | entry.environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

    def answer(self) -> dict[str, object]:
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.entry.name} failed:\n{self._errors.read_text()[-3000:]}")
        return json.loads(line)

    def turn(self, steps: int) -> dict[str, object]:
        print(steps, file=self.process.stdin, flush=True)
        return self.answer()

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


def race(entries: Sequence[Entry], folder: Path, size: str, rounds: int, steps: int, device: str) -> list[Result]:
    """Let them take turns."""
    in_all = work.WARM_UP + rounds * steps
    contests = []
    try:
        contests.extend(Contest(entry, folder, size, in_all + 1, device) for entry in entries)
        for contest in contests:
            contest.answer()  # it is warm
        rates: dict[str, list[float]] = {entry.name: [] for entry in entries}
        for _ in range(rounds):
            for contest in contests:
                answer = contest.turn(steps)
                scale = _tokens_per_target(folder, contest.entry.data)
                rates[contest.entry.name].append(scale * answer["supervised"] / answer["seconds"])
        last = {contest.entry.name: contest.turn(0) for contest in contests}
    finally:
        for contest in contests:
            contest.close()
    return [
        Result(entry, rates[entry.name], found["losses"], found["peak_bytes"], found.get("data_share", 0.0))
        for entry, found in ((entry, last[entry.name]) for entry in entries)
    ]


def check_in_float32(entries: Sequence[Entry], folder: Path, size: str, device: str) -> str:
    """That everybody computes the same: the first losses, where rounding makes no difference, one after the other."""
    results = []
    for entry in entries:
        if entry.data == "packed" and not entry.compiled and not entry.environment:
            contest = Contest(entry, folder, size, work.WARM_UP + 1, device, float32=True)
            try:
                contest.answer()
                found = contest.turn(0)
            finally:
                contest.close()
            results.append(Result(entry, [], found["losses"], found["peak_bytes"], 0.0))
    difference = check_losses(results)
    names = ", ".join(result.entry.name for result in results)
    equal = f"the first {work.WARM_UP} losses are equal to {difference:.0e}"
    return f"in float32, at a rate of {work.CHECKED_RATE}, {equal}: {names}"


def _tokens_per_target(folder: Path, data: str) -> float:
    documents = work.read(folder, data)
    return len(documents.ids) / documents.supervised.sum()


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
    return [[ours[entry.data], entry] for entry in entries if entry.script != "ours"]


def compare(name: str, options: argparse.Namespace) -> None:
    """One size: race, check, print."""
    size: Size = work.SIZES[name]
    entries = taking_part(options.device, compiled=options.compile)
    if options.only:
        entries = [entry for entry in entries if entry.name in options.only]
    folder = Path(tempfile.mkdtemp(prefix="thord-bench-"))
    rows, notes = [], []
    try:
        work.write(folder, size, work.WARM_UP + options.rounds * options.steps + 1)
        notes.append(check_in_float32(entries, folder, name, options.device))
        peak = gemm.peak(size, options.device)
        for heat in heats(entries, size):
            results = race(heat, folder, name, options.rounds, options.steps, options.device)
            rows += _rows(results, gemm.flops_per_token(size) / peak)
            notes += _notes(results)
    finally:
        shutil.rmtree(folder)
    harness.table(
        f"{name}: {gemm.parameters(size) / 1e6:.1f}M parameters, bf16, {size.batch_size} rows of {size.length}, "
        f"{options.device}; products at its shapes: {peak / 1e9:,.0f} GFLOP/s",
        rows,
        ["", "tokens/s", "ours is x", "of the peak", "peak memory", "ours is x"],
    )
    for note in dict.fromkeys(notes):
        print(f"  {note}")
    if options.device == "cpu":
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


def _notes(results: Sequence[Result]) -> list[str]:
    """What else there is to say of a heat, its losses having been checked."""
    difference = check_losses(results)
    notes = [f"the first {work.WARM_UP} losses on packed data are equal to {difference:.0e}"]
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
    parser.add_argument("--only", action="append", help="names of contestants")
    options = parser.parse_args()
    for name in options.size or ["llama-14m", "gpt2-124m"]:
        compare(name, options)


if __name__ == "__main__":
    main()

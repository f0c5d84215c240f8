"""What several cycles of something new do to what was learned before, with and without replay.

    python bench/study_replay.py [OLD NEW] [--cycles N] [--conversations N] [--results FILE] [--plot FILE.svg]

OLD and NEW are folders of conversations in any shape that thord reads; without them, Python's documentation and then a
town that no other text knows. The first cycle learns all of OLD, each later one the next conversations of NEW. Nothing
is imitated: ledger, snapshots, runs, versions and evaluations are the service's own, but every version is kept, for the
gate would stop the arms that forget. Every arm begins with the same first version.

Measured on held-out conversations of OLD and of NEW, which no arm trains on; and the figure that the service reports
with each cycle, on what was held out before that cycle.
"""

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path

import plot
import torch

from control import paths
from control.paths import Paths
from daemon.messages import Collect
from daemon.settings.sections import Tables
from daemon.workers.intake.folders import Signature
from daemon.workers.intake.ledger.dedup import Dedup
from daemon.workers.intake.ledger.ledger import Ledger
from daemon.workers.intake.ledger.samples import FoundAt
from daemon.workers.intake.snapshots import write_snapshot
from demo import text
from engine import device, memory, version
from engine.data import snapshot
from engine.data.held_out import is_held_out
from engine.data.readers.items import Found
from engine.data.readers.read import read_known
from engine.data.records.limits import Limits
from engine.data.samples import Conversation
from engine.data.snapshot import Example
from engine.evaluation import evaluate
from engine.evaluation.measures.bits_per_byte import BITS_PER_BYTE
from engine.evaluation.results import Results
from engine.training import run
from engine.training.reporting.reporter import Silent
from engine.training.spec import RunPaths, RunSpec
from engine.version import LoadedVersion

ARMS: dict[str, dict[str, dict[str, float | str]]] = {
    "no replay": {"data": {"replay_share": 0.0}},
    "replay 0.1": {"data": {"replay_share": 0.1}},
    "replay 0.3": {"data": {"replay_share": 0.3}},
    "replay 0.3, uniform": {"data": {"replay_share": 0.3, "replay_strategy": "uniform"}},
    "no replay, KL 0.5": {"data": {"replay_share": 0.0}, "training": {"kl_weight": 0.5}},
}
SETTINGS: dict[str, dict[str, object]] = {
    "model": {"preset": "tiny"},
    "tokenizer": {"vocabulary": 4096},
    "training": {
        "sequence_length": 512,
        "epochs": 3.0,
        "batch_size": 8,
        "gradient_accumulation": 1,
        "validate_every": 50,
        "learning_rate": 1e-3,
        "threads": 1,
        "early_stopping_patience": 0,
        "checkpoint_every": 1000,
    },
}
_LATER = {"training": {"epochs": 2.0}}


@dataclass(frozen=True)
class Measured:
    """One version of one arm, in bits per byte; ``reported`` is what the evaluation says was forgotten."""

    arm: str
    cycle: int
    old: float
    new: float
    replayed: int
    reported: float | None


class Home:
    """A thord's own files, without its processes."""

    def __init__(self, folder: Path, arm: dict[str, dict[str, float | str]]) -> None:
        self.paths: Paths = paths.at_home(folder)
        tables = {**SETTINGS, **{name: {**SETTINGS.get(name, {}), **values} for name, values in arm.items()}}
        self.settings = Tables.model_validate(tables)

    @contextmanager
    def ledger(self) -> Iterator[Ledger]:
        """Opened as the intake opens it."""
        self.paths.state.mkdir(parents=True, exist_ok=True)
        ledger = Ledger.open(self.paths.ledger, self.paths.segments, self.paths.quarantine)
        try:
            yield ledger
        finally:
            ledger.close()

    def add(self, folder: Path) -> None:
        """Take in all files of a folder."""
        with self.ledger() as ledger, ledger.transaction():
            dedup = Dedup(ledger.samples, self.settings.data.held_out_share)
            for file in sorted(folder.iterdir()):
                number = ledger.sources.begin(file, Signature.of(file.stat()))
                for found in conversations(file):
                    dedup.add(found.sample, FoundAt(number, found.line))

    def learn(self, cycle: int, limit: int) -> int:
        """One cycle up to its version, which counts as promoted; how many conversations were replayed."""
        command = Collect(cycle=cycle, limit=limit, minimum=1)
        with self.ledger() as ledger:
            made = write_snapshot(command, ledger, self.paths, self.settings, lambda: None)
        base = cycle - 1 or None
        run.learn(
            RunSpec(
                cycle=cycle,
                version=cycle,
                base=base,
                model=self.settings.model,
                tokenizer=self.settings.tokenizer,
                training=self.settings.training,
                settings={},
            ),
            RunPaths(
                folder=self.paths.run_folder(cycle),
                snapshot=self.paths.snapshot(cycle),
                base=self.paths.version(base) if base else None,
                target=self.paths.version(cycle),
            ),
            Silent(),
        )
        with self.ledger() as ledger, ledger.transaction():
            ledger.assignments.settle(cycle, 3, learned=True, count_try=False)
        return made.replayed

    def load(self, number: int) -> LoadedVersion:
        """A version as the evaluator loads it."""
        return version.load(self.paths.version(number), device.resolve("cpu", "auto"))

    def judge(self, cycle: int) -> dict[str, float]:
        """What the evaluator reports with the cycle."""
        data = self.paths.snapshot(cycle)
        return evaluate.judge(
            candidate=lambda: self.load(cycle),
            incumbent=lambda: self.load(cycle - 1),
            held_out=[example.sample for example in snapshot.held_out_examples(data)],
            training=lambda: snapshot.train_examples(data),
            settings=self.settings.evaluation,
            gate_settings=self.settings.gate,
            earlier={example.identity for example in snapshot.held_out_examples(self.paths.snapshot(cycle - 1))},
        ).metrics

    def measure(self, number: int, chosen: list[Conversation]) -> float:
        """Bits per byte of a version."""
        likelihood = evaluate.measure_version(self.load(number), chosen, self.settings.evaluation)
        return BITS_PER_BYTE.value(Results(likelihood))


def conversations(file: Path) -> Iterator[Found]:
    """Whatever can be read in a file."""
    with file.open("rb") as stream:
        for item in read_known(stream, Limits()):
            if isinstance(item, Found):
                yield item


def held_out(folder: Path, home: Home) -> list[Conversation]:
    """What of a folder the service keeps for evaluation, at most as many as it judges on."""
    settings = home.settings
    kept = {
        found.sample.identity: Example(found.sample, found.sample.identity, "held_out")
        for file in sorted(folder.iterdir())
        for found in conversations(file)
        if is_held_out(found.sample, settings.data.held_out_share)
    }
    return evaluate.conversations(evaluate.choose(kept.values(), settings.evaluation.max_conversations))


def carry_out(arm: str, first: Path, folder: Path, old: Path, new: Path, cycles: int, limit: int) -> list[Measured]:
    """All later cycles of one arm."""
    prepare()
    shutil.copytree(first, folder)
    home = Home(folder, {name: {**_LATER.get(name, {}), **ARMS[arm].get(name, {})} for name in {*_LATER, *ARMS[arm]}})
    home.add(new)
    sets = held_out(old, home), held_out(new, home)
    found = [Measured(arm, 1, *(home.measure(1, one) for one in sets), 0, None)]
    for cycle in range(2, cycles + 2):
        replayed = home.learn(cycle, limit)
        reported = home.judge(cycle).get("forgetting_bits_per_byte")
        found.append(Measured(arm, cycle, *(home.measure(cycle, one) for one in sets), replayed, reported))
        print(found[-1], file=sys.stderr, flush=True)
    return found


def prepare() -> None:
    """What a trainer's process does."""
    memory.keep_freed_memory()
    torch.set_num_threads(1)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", nargs="?", type=Path)
    parser.add_argument("new", nargs="?", type=Path)
    parser.add_argument("--cycles", type=int, default=8)
    parser.add_argument("--conversations", type=int, default=200, help="new ones in each cycle")
    parser.add_argument("--results", type=Path, help="where to save the figures as JSON")
    parser.add_argument("--plot", type=Path, help="where to draw the loss on the old conversations")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        old, new = (options.old, options.new) if options.new else made_up(place)
        prepare()
        first = Home(place / "first", {})
        first.add(old)
        first.learn(1, limit=1_000_000)
        many = options.cycles, options.conversations
        with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
            waiting = [
                pool.submit(carry_out, arm, place / "first", place / f"arm-{number}", old, new, *many)
                for number, arm in enumerate(ARMS)
            ]
            results = [future.result() for future in waiting]
    if options.results:
        options.results.write_text(json.dumps([asdict(one) for arm in results for one in arm], indent=1) + "\n")
    if options.plot:
        plot.lines(
            options.plot,
            "Held-out conversations of the old set, while new ones are learned",
            "cycle",
            "bits per byte",
            {arm[0].arm: [(one.cycle, one.old) for one in arm] for arm in results},
        )
    show(results)


def made_up(place: Path) -> tuple[Path, Path]:
    """Folders to learn from where none are given."""
    folders = place / "old", place / "new"
    for folder, dialogues in zip(folders, (text.standard_library(1000), text.tharsis()), strict=True):
        folder.mkdir()
        (folder / "dialogues.jsonl").write_text(text.to_json_lines(dialogues), encoding="utf-8")
    return folders


def show(results: list[list[Measured]]) -> None:
    """The table, as Markdown: each arm after the first cycle, half way, and at the end."""
    cycles = [one.cycle for one in results[0]]
    half, last = cycles[len(cycles) // 2], cycles[-1]
    print(f"| | old, cycle 1 | cycle {half} | cycle {last} | new, cycle 1 | cycle {last} | reported, mean of a cycle |")
    print("|---|---|---|---|---|---|---|")
    for arm in results:
        at = {one.cycle: one for one in arm}
        told = [one.reported for one in arm if one.reported is not None]
        print(
            f"| {arm[0].arm} | {at[1].old:.3f} | {at[half].old:.3f} | {at[last].old:.3f} | {at[1].new:.3f} "
            f"| {at[last].new:.3f} | {f'{sum(told) / len(told):+.3f}' if told else ''} |"
        )


if __name__ == "__main__":
    main()

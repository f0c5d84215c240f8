"""Classifying beside lm-evaluation-harness: texts a second, and the same classes from the same weights.

``python bench/bench_tasks.py VERSION DATA [--set sst2|trec]``: VERSION is the folder of a version whose weights have
the layout of a public model; DATA has ``sentiment/sst2_*.tsv`` and ``classification/trec_*.label``. Both get the same
questions; a class is the label with the highest log-probability. The peer runs in float32 and in bfloat16 with several
batch sizes, and the fastest counts; texts with one-token labels it answers by one pass too. Besides, the accuracy of
TF-IDF with logistic regression, trained on the whole of the training split.
"""

import argparse
import importlib.util
import os
import statistics
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import harness
import processor
from harness import KEEPS_FREED_MEMORY, Contestant

from engine.config.tasks import TaskSettings, tasks_of
from engine.huggingface import exporting
from engine.tasks.asking import Input, asked
from engine.tokenizers import publish

sys.path.insert(0, str(Path(__file__).parent / "tasks"))
import example_rows
from example_rows import SETS, Question

GOAL = 5.0
SAME = 0.97
"""Of the classes, as many must be the same: bfloat16 decides a few otherwise."""


@dataclass(frozen=True)
class Entry:
    """Who takes part, and how."""

    name: str
    script: str
    options: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)


OURS = Entry("ours, bf16", "ours")
PEERS = [
    Entry("hf, float32, batches of 1", "lm_evaluation_harness", ("--batch=1", "--dtype=float32"), KEEPS_FREED_MEMORY),
    Entry("hf, float32, batches of 8", "lm_evaluation_harness", ("--batch=8", "--dtype=float32"), KEEPS_FREED_MEMORY),
    Entry("hf, bfloat16, batches of 8", "lm_evaluation_harness", ("--batch=8", "--dtype=bfloat16"), KEEPS_FREED_MEMORY),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("version", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--set", choices=SETS, default="sst2")
    parser.add_argument("--texts", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--only", action="append", help="names of peers")
    parser.add_argument("--baseline", action="store_true", help="only train and measure the baseline")
    options = parser.parse_args()
    processor.require_kernels()
    chosen = SETS[options.set]
    if options.baseline:
        print(f"{options.set}: TF-IDF with logistic regression: accuracy {baseline(options.data, options.set):.3f}")
        return
    rows = chosen.read(options.data / chosen.test)[: options.texts]
    task = tasks_of({"it": TaskSettings(kind="classify", labels=chosen.labels, template=chosen.template)})["it"]
    tokenizer = publish.load(options.version)
    questions = [asked(task, Input(row.text), tokenizer) for row in rows]
    peers = [entry for entry in PEERS if not options.only or entry.name in options.only]
    if not importlib.util.find_spec("lm_eval"):
        print("LEFT OUT, lm-eval is not installed: " + "; ".join(entry.name for entry in peers))
        peers = []
    with tempfile.TemporaryDirectory(prefix="thord-bench-") as name:
        folder = Path(name)
        exporting.write(options.version, folder / "hf")
        written = [
            Question(row.text, each.prompt, [*map(list, each.candidates)], chosen.labels.index(row.label))
            for row, each in zip(rows, questions, strict=True)
        ]
        example_rows.write(folder / "questions.json", options.set, written)
        entries = [OURS, *peers]
        seconds, found = race(entries, options.version, folder, options.rounds)
    report(options.set, entries, [each.right for each in written], seconds, found)


def race(entries: list[Entry], version: Path, folder: Path, rounds: int) -> tuple[list[list[float]], list[list[int]]]:
    """Let them take turns: the seconds of each, and the classes that it found."""
    paths = os.pathsep.join([str(harness.REPOSITORY), os.environ.get("PYTHONPATH", "")])
    contestants = []
    try:
        for entry in entries:
            script = Path(__file__).parent / "tasks" / f"{entry.script}.py"
            where = version if entry is OURS else folder / "hf"
            command = [sys.executable, script, where, folder / "questions.json", *entry.options]
            environment = {"PYTHONPATH": paths, **entry.environment}
            contestants.append(Contestant(entry.name, command, environment, folder / f"{entry.name}.log"))
        for contestant in contestants:
            contestant.answer()  # it is warm
        answers = [[contestant.ask("") for contestant in contestants] for _ in range(rounds)]
    finally:
        for contestant in contestants:
            contestant.close()
    turns = list(zip(*answers, strict=True))
    return [[turn["seconds"] for turn in each] for each in turns], [each[-1]["found"] for each in turns]


def report(
    name: str, entries: list[Entry], right: list[int], seconds: list[list[float]], found: list[list[int]]
) -> None:
    """The table, whether the goal was reached, and whether it was the same work."""
    rates = [len(right) / statistics.median(each) for each in seconds]
    rows = [
        [
            entry.name,
            f"{rate:.2f}",
            f"{rates[0] / rate:.2f}" if entry is not OURS else "",
            f"{agreement(classes, right):.3f}",
            f"{agreement(classes, found[0]):.3f}",
        ]
        for entry, rate, classes in zip(entries, rates, found, strict=True)
    ]
    harness.table(f"{name}, {len(right)} texts", rows, ["", "texts/s", "ours is x", "accuracy", "same classes as ours"])
    if len(rates) > 1:
        ratio = rates[0] / max(rates[1:])
        print(f"  goal: beside the fastest >= {GOAL:g}: {ratio:.2f}, {harness.verdict(reached=ratio >= GOAL)}")
    if any(agreement(classes, found[0]) < SAME for classes in found):
        raise SystemExit(f"fewer than {SAME} of the classes are the same: this is not the same work")


def agreement(one: list[int], other: list[int]) -> float:
    """The share of equal classes."""
    return sum(a == b for a, b in zip(one, other, strict=True)) / len(one)


def baseline(data: Path, name: str) -> float:
    """The accuracy of TF-IDF of words and pairs of words with logistic regression."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    train, test = (SETS[name].read(data / file) for file in (SETS[name].train, SETS[name].test))
    model = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), LogisticRegression(C=10, max_iter=1000)
    )
    model.fit([row.text for row in train], [row.label for row in train])
    return float(model.score([row.text for row in test], [row.label for row in test]))


if __name__ == "__main__":
    main()

"""What a version learns of public labelled sets in one cycle, beside TF-IDF with logistic regression on the same rows.

    python bench/study_tasks.py VERSION DATA --sets sst2 trec [--rows 300] [--test 200] [--together] [--untrained]
        [--heads] [--minutes 10] [--seeds 0]

VERSION is the folder of an imported version (``models/versions/000001`` after ``thorctl import starter``); DATA has
``sentiment/sst2_*.tsv``, ``classification/trec_*.label``, ``classification/ag_news_*.csv`` and ``qa/squad_*.json``.
Files are read as the inbox reads those of a task. Each set is learned alone, by the recipe of the service, and with
``--together`` all of them in one run. Measured is what an evaluation measures, on rows of the test split.

``--heads`` fits logistic regression on the hidden states of the untrained VERSION instead: at the end of the question,
and the mean over all of its tokens; with the seconds that the states of all rows take. Nothing of ours learns then.
"""

import argparse
import random
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from study_import import learn

from engine import device, memory, version
from engine.config.tasks import TaskColumns, TaskSettings, tasks_of
from engine.config.training import TrainingSettings
from engine.data.readers import task_files
from engine.data.readers.items import Found
from engine.data.records.limits import Limits
from engine.data.samples import Conversation, Labelled
from engine.data.tasks.posed import posed
from engine.data.tasks.task import Task
from engine.evaluation.tasks.measures import measure_tasks
from engine.manifest import read_manifest
from engine.tasks.asking import Input, prompt_of
from engine.tokenizers.encode import encode_text
from engine.version import LoadedVersion

_AT_ONCE = 16


@dataclass(frozen=True)
class LabelledSet:
    """A public set, and the task that its rows are of."""

    train: str
    test: str
    settings: TaskSettings


SETS = {
    "sst2": LabelledSet(
        "sentiment/sst2_train.tsv",
        "sentiment/sst2_dev.tsv",
        TaskSettings(
            kind="classify",
            labels=("negative", "positive"),
            template="{text}\n\nIs this review {labels}?",
            columns=TaskColumns(text="1", label="2"),
        ),
    ),
    "trec": LabelledSet(
        "classification/trec_train.label",
        "classification/trec_test.label",
        TaskSettings(
            kind="classify",
            labels=("abbreviation", "description", "entity", "person", "place", "number"),
            template="{text}\n\nThis question asks for one of these: {labels}. Which?",
            label_values={
                "ABBR": "abbreviation",
                "DESC": "description",
                "ENTY": "entity",
                "HUM": "person",
                "LOC": "place",
                "NUM": "number",
            },
            pattern=r"(?P<label>[A-Z]+):\S+ (?P<text>.+)",
        ),
    ),
    "ag_news": LabelledSet(
        "classification/ag_news_train.csv",
        "classification/ag_news_test.csv",
        TaskSettings(
            kind="classify",
            labels=("world", "sports", "business", "science"),
            template="{text}\n\nWhich part of a newspaper is this from: {labels}?",
            label_values={"1": "world", "2": "sports", "3": "business", "4": "science"},
            columns=TaskColumns(label="1", text="3"),
        ),
    ),
    "squad": LabelledSet("qa/squad_train.json", "qa/squad_dev.json", TaskSettings(kind="extract")),
}


@dataclass(frozen=True)
class _Rows:
    """Rows of one set, to learn from and to be measured on."""

    task: Task
    train: list[Labelled]
    test: list[Labelled]


def main() -> None:
    """Measure and print the table, as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--sets", choices=SETS, nargs="+", default=["sst2", "trec"])
    parser.add_argument("--rows", type=int, default=300, help="of each set, to learn from")
    parser.add_argument("--test", type=int, default=200, help="of each set, to measure on")
    parser.add_argument("--together", action="store_true", help="learn all sets in one run besides")
    parser.add_argument("--only-together", action="store_true", help="learn all sets in one run, and none alone")
    parser.add_argument("--untrained", action="store_true", help="measure the version as it is besides")
    parser.add_argument("--heads", action="store_true", help="fit heads on hidden states, and learn nothing")
    parser.add_argument("--epochs", type=float, help="unset: by the recipe")
    parser.add_argument("--rate", type=float, help="peak learning rate; unset: by the recipe")
    parser.add_argument("--method", choices=["full", "lora"], help="unset: by the recipe")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    memory.keep_freed_memory()
    tasks = tasks_of({name: SETS[name].settings for name in options.sets})
    rows = [rows_of(options.data, tasks[name], options.rows, options.test, options.seed) for name in options.sets]
    if options.heads:
        _print_heads(options.version, rows)
        return
    print("| learned | minutes | steps | set | rows, test rows | measures | TF-IDF with logistic regression |")
    print("|---" * 7 + "|", flush=True)
    if options.untrained:
        _print("nothing", "", "", options.version, rows, tasks)
    settings = TrainingSettings(
        epochs=options.epochs, learning_rate=options.rate, method=options.method, seed=options.seed
    )
    alone = [] if options.only_together else [[each] for each in rows]
    for chosen in [*alone, *([rows] if options.together or options.only_together else [])]:
        with tempfile.TemporaryDirectory() as folder:
            new = [_posed(row, tasks) for each in chosen for row in each.train]
            began = time.monotonic()
            learned = learn(options.version, options.version, Path(folder, "1"), new, [], settings)
            minutes, steps = (time.monotonic() - began) / 60, read_manifest(learned).metrics["steps"]
            name = "all together" if len(chosen) > 1 else "it alone"
            _print(name, f"{minutes:.1f}", f"{steps:.0f}", learned, chosen, tasks)


def rows_of(data: Path, task: Task, most: int, most_test: int, seed: int) -> _Rows:
    """Rows of both splits, drawn by ``seed``."""
    chosen = SETS[task.name]
    train, test = (_read(data / file, task) for file in (chosen.train, chosen.test))
    draw = random.Random(seed)
    return _Rows(task, draw.sample(train, min(most, len(train))), draw.sample(test, min(most_test, len(test))))


def _read(file: Path, task: Task) -> list[Labelled]:
    with file.open("rb") as stream:
        items = task_files.read(stream, Limits(), task)
        return [one.sample for one in items if isinstance(one, Found) and isinstance(one.sample, Labelled)]


def _posed(row: Labelled, tasks: Mapping[str, Task]) -> Conversation:
    found = posed(row, tasks)
    assert found is not None
    return found


def _print(name: str, minutes: str, steps: str, folder: Path, rows: Sequence[_Rows], tasks: Mapping[str, Task]) -> None:
    loaded = version.load(folder, device.resolve("cpu", "auto"))
    asked = [_posed(row, tasks) for each in rows for row in each.test]
    figures = measure_tasks(loaded, asked, tasks, lambda done, total: None).figures
    for each in rows:
        prefix = f"task_{each.task.name}_"
        of_it = {key.removeprefix(prefix): value for key, value in figures.items() if key.startswith(prefix)}
        shown = ", ".join(f"{key} {value:.3f}" for key, value in of_it.items() if key != "rows")
        sizes = f"{len(each.train)}, {of_it['rows']:.0f}"
        print(
            f"| {name} | {minutes} | {steps} | {each.task.name} | {sizes} | {shown} | {_baseline(each)} |", flush=True
        )


def _baseline(rows: _Rows) -> str:
    """The accuracy of TF-IDF of words and pairs of words with logistic regression; nothing for other kinds of task."""
    if rows.task.kind != "classify":
        return ""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    model = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), LogisticRegression(C=10, max_iter=1000)
    )
    model.fit([row.text for row in rows.train], [str(row.label) for row in rows.train])
    return f"{model.score([row.text for row in rows.test], [str(row.label) for row in rows.test]):.3f}"


def _print_heads(folder: Path, rows: Sequence[_Rows]) -> None:
    """Accuracy of logistic regression on hidden states, by what the states are of."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    loaded = version.load(folder, device.resolve("cpu", "auto"))
    print("| set | rows, test rows | seconds of the states | states | C | accuracy | TF-IDF |")
    print("|---" * 7 + "|", flush=True)
    for each in (one for one in rows if one.task.kind == "classify"):
        began = time.monotonic()
        train, test = (_states(loaded, each.task, part) for part in (each.train, each.test))
        seconds = time.monotonic() - began
        labels, right = ([str(row.label) for row in part] for part in (each.train, each.test))
        for kind, test_kind in zip(train, test, strict=True):
            for strength in (0.001, 0.01, 0.1):
                model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=2000))
                model.fit(train[kind], labels)
                print(
                    f"| {each.task.name} | {len(labels)}, {len(right)} | {seconds:.0f} | {kind} | {strength:g} "
                    f"| {model.score(test[test_kind], right):.3f} | {_baseline(each)} |",
                    flush=True,
                )


def _states(loaded: LoadedVersion, task: Task, rows: Sequence[Labelled]) -> dict[str, NDArray[np.float32]]:
    """The last hidden states, at the end and as a mean: of each question, and of each text alone."""
    asked = [prompt_of(task, Input(row.text, row.text_pair), loaded.tokenizer) for row in rows]
    alone = [encode_text(loaded.tokenizer, row.text) for row in rows]
    found = {}
    for name, prompts in (("question", asked), ("text", alone)):
        began = time.monotonic()
        states = [_of_batch(loaded, prompts[at : at + _AT_ONCE]) for at in range(0, len(prompts), _AT_ONCE)]
        lasts, means = (np.concatenate([each[place] for each in states]) for place in (0, 1))
        name += f" ({time.monotonic() - began:.0f} s)"
        found |= {f"end of the {name}": lasts, f"mean of the {name}": means}
    return found


def _of_batch(
    loaded: LoadedVersion, prompts: Sequence[Sequence[int]]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    width = max(map(len, prompts))
    tokens = torch.tensor([[*prompt, *[0] * (width - len(prompt))] for prompt in prompts])
    positions = torch.arange(width).expand(len(prompts), width)
    with torch.inference_mode():
        hidden = loaded.model.hidden(tokens, positions, torch.zeros_like(tokens)).float()
    pairs = [(each[len(prompt) - 1], each[: len(prompt)].mean(0)) for prompt, each in zip(prompts, hidden, strict=True)]
    return np.stack([last.numpy() for last, _ in pairs]), np.stack([mean.numpy() for _, mean in pairs])


if __name__ == "__main__":
    main()

"""What every contestant of tasks answers: labelled texts, and the same questions about them in the same tokens."""

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

_WARM_UP = 4
_TREC = {"ABBR": "abbreviation", "DESC": "description", "ENTY": "entity", "HUM": "person", "LOC": "place"}
_TREC_LINE = re.compile(r"([A-Z]+):\S+ (.+)")


class Row(NamedTuple):
    """A text and its label."""

    text: str
    label: str


@dataclass(frozen=True)
class Question:
    """One text: token ids of its prompt and of each label, and which label is right."""

    text: str
    prompt: list[int]
    labels: list[list[int]]
    right: int


@dataclass(frozen=True)
class LabelledSet:
    """A public set: its files, its labels, how it is read and asked about."""

    train: str
    test: str
    labels: tuple[str, ...]
    template: str
    read: Callable[[Path], list[Row]]


def _sst2(file: Path) -> list[Row]:
    rows = (line.split("\t") for line in file.read_text().splitlines())
    return [Row(text, ("negative", "positive")[int(label)]) for text, label in rows]


def _trec(file: Path) -> list[Row]:
    found = map(_TREC_LINE.fullmatch, file.read_text(encoding="latin-1").splitlines())
    return [Row(each[2], _TREC.get(each[1], "number")) for each in found if each is not None]


SETS = {
    "sst2": LabelledSet(
        "sentiment/sst2_train.tsv",
        "sentiment/sst2_dev.tsv",
        ("negative", "positive"),
        "{text}\n\nIs this review {labels}?",
        _sst2,
    ),
    "trec": LabelledSet(
        "classification/trec_train.label",
        "classification/trec_test.label",
        (*_TREC.values(), "number"),
        "{text}\n\nThis question asks for one of these: {labels}. Which?",
        _trec,
    ),
}


def write(file: Path, name: str, questions: Sequence[Question]) -> None:
    """Write questions about a set."""
    file.write_text(json.dumps({"set": name, "questions": [asdict(each) for each in questions]}))


def read(file: Path) -> tuple[str, list[Question]]:
    """The name of the set, and the questions."""
    found = json.loads(file.read_text())
    return found["set"], [Question(**each) for each in found["questions"]]


def options() -> argparse.Namespace:
    """Of a contestant's command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("weights", type=Path)
    parser.add_argument("questions", type=Path)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--dtype", default="float32")
    return parser.parse_args()


def take_turns(classify: Callable[[list[Question]], list[int]], questions: list[Question]) -> None:
    """Classify some, then all for each line on standard input; say in JSON the time it took, and the classes."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no answer
    classify(questions[:_WARM_UP])
    print(json.dumps({}), file=answers, flush=True)
    for _ in sys.stdin:
        began = time.perf_counter()
        found = classify(questions)
        print(json.dumps({"seconds": time.perf_counter() - began, "found": found}), file=answers, flush=True)

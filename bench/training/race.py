"""Contestants of training: processes that train in turn, some steps each, so that a drift of the machine hits all."""

import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import work
from harness import Contestant

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Entry:
    """Who takes part, and how."""

    name: str
    script: str
    data: str = "packed"
    compiled: bool = False
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Course:
    """What they all do.

    Attributes:
        folder: what `work.write` made.
        warm_up: steps before the clock runs; their losses are compared.
        rounds: turns of each contestant.
        steps: of one turn.
    """

    folder: Path
    size: str
    device: str
    float32: bool
    warm_up: int
    rounds: int
    steps: int

    @property
    def in_all(self) -> int:
        """Steps of each contestant."""
        return self.warm_up + self.rounds * self.steps


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


def _start(entry: Entry, course: Course) -> Contestant:
    command = [sys.executable, _HERE / f"{entry.script}.py", course.folder, course.size, entry.data]
    command += [f"--steps={course.in_all + 1}", f"--warm-up={course.warm_up}", f"--device={course.device}"]
    command += ["--compiled"] if entry.compiled else []
    command += ["--float32"] if course.float32 else []
    return Contestant(entry.name, command, entry.environment, course.folder / f"{entry.name}.log")


def race(entries: Sequence[Entry], course: Course) -> list[Result]:
    """Let them take turns."""
    contestants = []
    try:
        contestants.extend(_start(entry, course) for entry in entries)
        for contestant in contestants:
            contestant.answer()  # it is warm
        rates: list[list[float]] = [[] for _ in entries]
        for _ in range(course.rounds):
            for entry, contestant, found in zip(entries, contestants, rates, strict=True):
                answer = contestant.ask(course.steps)
                found.append(_tokens_per_target(course.folder, entry.data) * answer["supervised"] / answer["seconds"])
        last = [contestant.ask(0) for contestant in contestants]
    finally:
        for contestant in contestants:
            contestant.close()
    return [
        Result(entry, found, said["losses"], said["peak_bytes"], said.get("data_share", 0.0))
        for entry, found, said in zip(entries, rates, last, strict=True)
    ]


def _tokens_per_target(folder: Path, data: str) -> float:
    documents = work.read(folder, data)
    return len(documents.ids) / documents.supervised.sum()

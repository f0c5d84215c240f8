"""Small runs in this process, and in real processes that are killed."""

import builtins
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from engine.config.model import ModelSettings
from engine.config.tokenizer import TokenizerSettings
from engine.config.training import TrainingSettings
from engine.data import snapshot
from engine.data.samples import Conversation, Dialogue, Message, Sample
from engine.training.epochs import EpochFigures
from engine.training.reporting.inspection import Inspection
from engine.training.reporting.reporter import Figures, FinalFigures
from engine.training.spec import RunPaths, RunSpec

MakePlan = Callable[..., RunSpec]
REPOSITORY = Path(__file__).parents[3]
MODEL = ModelSettings(preset="tiny", hidden=32, layers=2, heads=4, kv_heads=2, feed_forward=64, context=64, dropout=0.1)
TRAINING = TrainingSettings(
    device="cpu",
    precision="bf16",
    threads=1,
    epochs=2,
    batch_size=3,
    gradient_accumulation=2,
    sequence_length=48,
    learning_rate=5e-3,
    checkpoint_every=4,
    validate_every=3,
    log_every=1,
    validation_share=0.2,
    seed=11,
)


def dialogues() -> list[Conversation]:
    """What Python's own functions say about themselves."""
    named = {name: (getattr(builtins, name).__doc__ or "") for name in sorted(dir(builtins)) if name.islower()}
    return [
        Dialogue(messages=(Message("user", f"What is {name}?"), Message("assistant", text.split("\n")[0])))
        for name, text in named.items()
        if text.strip()
    ]


@dataclass
class Recording:
    """A reporter that keeps everything, and asks to stop before step ``stop_at``."""

    stop_at: int | None = None
    began: list[tuple[int, int]] = field(default_factory=list)
    figures: list[Figures] = field(default_factory=list)
    validations: list[tuple[int, float, bool]] = field(default_factory=list)
    stumbles: list[tuple[int, str]] = field(default_factory=list)
    inspections: list[tuple[int, Inspection]] = field(default_factory=list)
    epochs: list[EpochFigures] = field(default_factory=list)
    finals: list[FinalFigures] = field(default_factory=list)

    def preparing(self, activity: str, done: int = 0, total: int = 0) -> None:
        assert done <= total or not total

    def started(self, step: int, steps: int) -> None:
        self.began.append((step, steps))

    def stepped(self, figures: Figures) -> None:
        self.figures.append(figures)

    def validated(self, step: int, loss: float, best: bool) -> None:
        self.validations.append((step, loss, best))

    def epoch_ended(self, figures: EpochFigures) -> None:
        self.epochs.append(figures)

    def ended(self, figures: FinalFigures) -> None:
        self.finals.append(figures)

    def inspected(self, step: int, inspection: Inspection) -> None:
        self.inspections.append((step, inspection))

    def stumbled(self, step: int, action: str, loss: float, gradient_norm: float) -> None:
        self.stumbles.append((step, action))

    def stopping(self) -> bool:
        return self.stop_at is not None and bool(self.began) and self._reached >= self.stop_at

    @property
    def _reached(self) -> int:
        return self.figures[-1].step if self.figures else self.began[-1][0]


def write_snapshot(folder: Path, samples: Sequence[Sample]) -> Path:
    """In which all samples are new."""
    snapshot.write(folder, [snapshot.Example(one, one.identity, "new") for one in samples], [])
    return folder


def with_snapshot(places: RunPaths, samples: Sequence[Sample]) -> RunPaths:
    """The same places, where a second snapshot is learned from."""
    return replace(places, snapshot=write_snapshot(places.snapshot.with_name("snapshot-2"), samples))


@pytest.fixture
def recording() -> type[Recording]:
    return Recording


@pytest.fixture(scope="session")
def conversations() -> list[Conversation]:
    return dialogues()


@pytest.fixture
def places(tmp_path: Path, conversations: list[Conversation]) -> RunPaths:
    """A home with a snapshot in it."""
    folder = write_snapshot(tmp_path / "snapshot", conversations)
    return RunPaths(tmp_path / "run", folder, None, tmp_path / "versions" / "000001")


@pytest.fixture(scope="session")
def plan() -> MakePlan:
    """``plan(learning_rate=..., ...)``: the small run, with keys of ``[training]`` that differ."""

    def make(version: int = 1, base: int | None = None, **training: object) -> RunSpec:
        return RunSpec(
            cycle=version,
            version=version,
            base=base,
            model=MODEL,
            tokenizer=TokenizerSettings(vocabulary=400),
            training=TrainingSettings.model_validate(TRAINING.model_dump() | training),
            settings={"training": {"seed": TRAINING.seed}},
        )

    return make


class Attempts:
    """Starts processes that carry out a run, and kills them as told."""

    def __init__(self) -> None:
        script = Path(__file__).with_name("attempts.py")
        self._process = subprocess.Popen(
            [sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"},
        )  # fmt: skip

    def __call__(
        self, plan: RunSpec, places: RunPaths, kill_after: float = 0.0, kill_at: int = 0, tear_at: int = 0
    ) -> int:
        """The exit status of one attempt: negative when a signal ended it."""
        paths = [str(path) for path in (places.folder, places.snapshot, places.base or "", places.target)]
        kills = {"kill_after": kill_after, "kill_at": kill_at, "tear_at": tear_at}
        order = {"plan": plan.model_dump_json(), "places": paths, **kills}
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(20)


@pytest.fixture(scope="session")
def attempt() -> Iterator[Attempts]:
    """``attempt(plan, places, kill_after=seconds, kill_at=operation, tear_at=file)`` runs in a process of its own."""
    attempts = Attempts()
    yield attempts
    attempts.close()

"""Two ranks that stay for all tests of this folder, and the same run in this process to compare with."""

import builtins
import itertools
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from engine.config.model import ModelSettings
from engine.config.tokenizer import TokenizerSettings
from engine.config.training import TrainingSettings
from engine.data import snapshot
from engine.data.samples import Dialogue, Message
from engine.training import run
from engine.training.reporting.reporter import Figures, Silent
from engine.training.spec import RunPaths, RunSpec

MakePlan = Callable[..., RunSpec]
REPOSITORY = Path(__file__).parents[3]
FAMILIES: dict[str, dict[str, int]] = {
    "thor": {"kv_heads": 2, "feed_forward": 64, "heads": 4},
    "gpt2": {"heads": 4},
    "char_lstm": {},
    "agiformer": {"feed_forward": 64, "heads": 4},
}
TRAINING = {
    "device": "cpu",
    "precision": "fp32",
    "threads": 1,
    "max_steps": 8,
    "batch_size": 2,
    "gradient_accumulation": 4,
    "sequence_length": 48,
    "learning_rate": 5e-3,
    "checkpoint_every": 2,
    "validate_every": 3,
    "keep_checkpoints": 3,
    "validation_share": 0.2,
}


@dataclass
class Run:
    """What a run reported, on each rank."""

    losses: list[float] = field(default_factory=list)
    norms: list[float] = field(default_factory=list)
    validations: list[float] = field(default_factory=list)
    stumbles: list[str] = field(default_factory=list)
    error: str = ""


Alone = Callable[..., tuple[Run, Path]]


class Watch(Run, Silent):
    """A reporter for this process."""

    def stepped(self, figures: Figures) -> None:
        self.losses.append(figures.loss)
        self.norms.append(figures.gradient_norm)

    def validated(self, step: int, loss: float, best: bool) -> None:
        self.validations.append(loss)


class Ranks:
    """Processes that carry out runs together, forked from one that has imported torch."""

    def __init__(self, count: int) -> None:
        pipes = [(os.pipe(), os.pipe()) for _ in range(count)]
        theirs = [(orders[0], answers[1]) for orders, answers in pipes]
        self.process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("ranks.py"), *(f"{one},{other}" for one, other in theirs)],
            pass_fds=[*itertools.chain.from_iterable(theirs)],
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"},
        )
        for descriptor in itertools.chain.from_iterable(theirs):
            os.close(descriptor)
        self.ranks = [(os.fdopen(orders[1], "w"), os.fdopen(answers[0])) for orders, answers in pipes]

    def __call__(self, plan: RunSpec, places: RunPaths, size: int = 2, **order: object) -> list[Run]:
        """What each of ``size`` ranks says of a run."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        paths = [str(path) for path in (places.folder, places.snapshot, places.base or "", places.target)]
        for rank, (orders, _) in enumerate(self.ranks[:size]):
            environment = {
                "RANK": rank,
                "LOCAL_RANK": rank,
                "WORLD_SIZE": size,
                "LOCAL_WORLD_SIZE": size,
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": port,
            }
            line = {"environment": environment, "plan": plan.model_dump_json(), "places": paths, **order}
            orders.write(json.dumps(line) + "\n")
            orders.flush()
        return [Run(**json.loads(answers.readline())) for _, answers in self.ranks[:size]]

    def close(self) -> None:
        for pipe in itertools.chain.from_iterable(self.ranks):
            pipe.close()
        self.process.wait(20)


@pytest.fixture(scope="session")
def ranks() -> Iterator[Ranks]:
    """``ranks(plan, places, size=2, ...)``."""
    ranks = Ranks(2)
    yield ranks
    ranks.close()


@pytest.fixture(scope="session")
def plan() -> MakePlan:
    """``plan(strategy, **training)``."""

    def make(strategy: str = "ddp", family: str = "thor", **training: object) -> RunSpec:
        distributed = {"strategy": strategy}
        return RunSpec(
            cycle=1,
            version=1,
            base=None,
            model=ModelSettings(family=family, preset="tiny", hidden=32, layers=2, context=64, **FAMILIES[family]),
            tokenizer=TokenizerSettings(vocabulary=400, kind="bytes" if family == "agiformer" else "bpe"),
            training=TrainingSettings.model_validate(TRAINING | {"distributed": distributed} | training),
            settings={},
        )

    return make


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A snapshot of what Python's own functions say about themselves."""
    texts = {name: (getattr(builtins, name).__doc__ or "") for name in sorted(dir(builtins)) if name.islower()}
    dialogues = [
        Dialogue(messages=(Message("user", f"What is {name}?"), Message("assistant", text.split("\n")[0])))
        for name, text in texts.items()
        if text.strip()
    ]
    folder: Path = tmp_path_factory.mktemp("data") / "snapshot"
    snapshot.write(folder, [snapshot.Example(one, one.identity, "new") for one in dialogues], [])
    return folder


@pytest.fixture
def places(tmp_path: Path, data: Path) -> RunPaths:
    return RunPaths(tmp_path / "run", data, None, tmp_path / "versions" / "000001")


@pytest.fixture
def elsewhere(tmp_path: Path, places: RunPaths) -> Callable[[str], RunPaths]:
    """``elsewhere(name)``: the same data, another run."""

    def make(name: str) -> RunPaths:
        return replace(places, folder=tmp_path / name, target=tmp_path / f"version-{name}")

    return make


@pytest.fixture(scope="session")
def alone(data: Path, tmp_path_factory: pytest.TempPathFactory, plan: MakePlan) -> Alone:
    """``alone(**training)``: the run of one process, and the folder of its version."""
    known: dict[str, tuple[Run, Path]] = {}

    def learn(**training: object) -> tuple[Run, Path]:
        key = json.dumps(training, sort_keys=True)
        if key not in known:
            home = tmp_path_factory.mktemp("alone")
            watch = Watch()
            run.learn(plan(**training), RunPaths(home / "run", data, None, home / "version"), watch)
            known[key] = watch, home / "version"
        return known[key]

    return learn

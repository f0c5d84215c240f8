"""Every profile that is shipped can be loaded and trained with, but for its size, which is made small."""

from pathlib import Path

import pytest
import torch

from control.paths import at_home
from daemon.settings import profiles
from daemon.settings.load import load
from engine.data import snapshot
from engine.data.samples import Dialogue, Message
from engine.training import run
from engine.training.reporting.reporter import Silent
from engine.training.spec import RunPaths, RunSpec

SMALL = ["hidden=32", "layers=2", "heads=4", "feed_forward=64", "context=64"]
DIALOGUES = [
    Dialogue(messages=(Message("user", f"How much is {n} and 1?"), Message("assistant", f"It is {n + 1}.")))
    for n in range(20)
]


@pytest.mark.parametrize("name", profiles.names())
def test_a_step_is_trained_with_it(name: str, tmp_path: Path) -> None:
    preset = ["preset='tiny'", *SMALL, *([] if name == "agiformer" else ["kv_heads=2"])]
    training = (
        "device='cpu' precision='fp32' threads=1 sequence_length=64 max_steps=1 batch_size=2 gradient_accumulation=1"
    ).split()
    given = [
        *(f"model.{one}" for one in preset),
        *(f"training.{one}" for one in training),
        "evaluation.sequence_length=64",
    ]
    given += [] if name == "agiformer" else ["tokenizer.vocabulary=400"]
    tables = load(at_home(tmp_path), profile=name, overrides=given).tables
    snapshot.write(tmp_path / "snapshot", [snapshot.Example(one, one.identity, "new") for one in DIALOGUES], [])
    places = RunPaths(tmp_path / "run", tmp_path / "snapshot", None, tmp_path / "versions" / "000001")
    parts = {part: getattr(tables, part) for part in ("model", "tokenizer", "training")}
    threads = torch.get_num_threads()
    manifest = run.learn(RunSpec(cycle=1, version=1, base=None, settings={}, **parts), places, Silent())
    torch.set_num_threads(threads)
    assert manifest.metrics["steps"] == 1
    assert manifest.family == ("agiformer" if name == "agiformer" else "thor")

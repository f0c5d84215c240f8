"""How much of the disk a run takes, and that one that cannot fit says so before it trains."""

import shutil
from pathlib import Path

import pytest

from engine import room
from engine.config.model import ModelSettings
from engine.config.tokenizer import TokenizerSettings
from engine.config.training import TrainingSettings
from engine.data import snapshot
from engine.data.samples import Dialogue, Message
from engine.data.snapshot import Example
from engine.training import run
from engine.training.reporting.reporter import Silent
from engine.training.spec import RunPaths, RunSpec


@pytest.mark.parametrize(
    ("settings", "most", "least"),
    [
        ({}, 4 + 3 * 12, 4 + 2 * 12),
        ({"keep_checkpoints": 5}, 4 + 6 * 12, 4 + 2 * 12),
        ({"optimizer": "adamw8bit"}, 4 + 3 * 6, 4 + 2 * 6),
        ({"checkpoint_folder": "/elsewhere"}, 4, 4),
    ],
)
def test_a_run_takes_a_version_and_its_checkpoints(settings: dict[str, object], most: int, least: int) -> None:
    training = TrainingSettings.model_validate(settings)
    assert room.most_bytes(1000, training) == 1000 * most
    assert room.least_bytes(1000, training) == 1000 * least


def test_a_first_run_that_cannot_fit_says_so_before_it_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    talk = Dialogue(messages=(Message("user", "Hello?"), Message("assistant", "Hello!")))
    snapshot.write(tmp_path / "snapshot", [Example(talk, talk.identity, "new")], [])
    spec = RunSpec(
        cycle=1,
        version=1,
        base=None,
        model=ModelSettings(preset="tiny"),
        tokenizer=TokenizerSettings(kind="bytes"),
        training=TrainingSettings(),
        settings={},
    )
    paths = RunPaths(tmp_path / "run", tmp_path / "snapshot", base=None, target=tmp_path / "000001")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9 - 10**7, 10**7))
    with pytest.raises(OSError, match=r"needs at least 0\.0\d GB, and \S+/run has 0\.01 GB free; free some space"):
        run.learn(spec, paths, Silent())
    assert not (paths.folder / run.DATA).exists()
    assert not (paths.folder / run.CHECKPOINTS).exists()

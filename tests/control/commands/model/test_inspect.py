"""Looking inside a version, which needs no thord that runs."""

from pathlib import Path

import pytest

from engine import version
from engine.config.model import ModelSettings
from engine.manifest import Lineage
from engine.models import registry
from engine.tokenizers.bytes import ByteTokenizer
from tests.control.stand_in import Ctl

SETTINGS = ModelSettings(family="agiformer", preset="tiny", hidden=16, layers=1, heads=2, feed_forward=24, context=64)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder, tokenizer = tmp_path / "home/models/versions/000001", ByteTokenizer()
    weights = registry.module(registry.build(SETTINGS, tokenizer.vocabulary, 0)).state_dict()
    version.publish(folder, weights, SETTINGS, tokenizer, Lineage(1, None, None, "", 0, {}, 0.0, {}))
    return tmp_path / "home"


def test_thinking_is_shown_to_people_and_programs(home: Path, ctl: Ctl) -> None:
    shown = ctl("inspect", "thinking", "Hëllo", "--version", "1")
    assert (shown.returncode, shown.stderr) == (0, "")
    head, *lines = shown.stdout.splitlines()
    assert head.split() == ["STEP", "CHANGE", "RELATIVE", "OTHER", "BYTE", "ENTROPY", "LOSS", "BITS/BYTE"]
    assert [line.split()[0] for line in lines] == ["0", "1", "2", "3", "version"]
    found = ctl.json("inspect", "thinking", "-", "--version", "1", stdin="Hëllo")
    assert (found["version"], found["bytes"], len(found["steps"])) == ("000001", 6, 4)
    assert [f"{step['loss']:.4f}" for step in found["steps"]] == [line.split()[-2] for line in lines[:-1]]


def test_no_version_and_no_text_are_said(home: Path, ctl: Ctl) -> None:
    missing = ctl("inspect", "thinking", "x")
    assert (missing.returncode, "no version is in service" in missing.stderr) == (5, True)
    assert ctl("inspect", "thinking", "x", "--version", "9").returncode == 5
    assert ctl("inspect", "thinking", "--version", "1", stdin="").returncode == 2

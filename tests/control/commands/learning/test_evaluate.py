"""Evaluating folders and suites, which needs no thord that runs, and the commands of docs/evaluation.md."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from engine import version
from engine.config.model import ModelSettings
from engine.manifest import Lineage
from engine.models import registry
from engine.tokenizers.bytes import ByteTokenizer
from tests.control.stand_in import REPOSITORY, Ctl

SHAPE = ModelSettings(hidden=32, layers=1, heads=2, kv_heads=1, feed_forward=32, context=128)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home, tokenizer = tmp_path / "home", ByteTokenizer()
    weights = registry.module(registry.build(SHAPE, tokenizer.vocabulary, 0)).state_dict()
    folder = home / "models/versions/000001"
    version.publish(folder, weights, SHAPE, tokenizer, Lineage(1, None, None, "", 0, {}, 0.0, {}))
    rows = [{"text": f"row {n}", "label": ("yes", "no")[n % 2]} for n in range(6)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (home / "thord.toml").write_text(f'[evaluation.suites.answers]\npath = "{tmp_path}/rows.jsonl"\n')
    return home


def test_a_folder_is_measured_on_suites_and_files(home: Path, tmp_path: Path, ctl: Ctl) -> None:
    folder, chats = str(home / "models/versions/000001"), tmp_path / "chats.jsonl"
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]
    chats.write_text(json.dumps({"messages": turns}) + "\n")
    shown = ctl("evaluate", folder, "--suite", "--data", str(chats), "--output-dir", str(tmp_path / "out"))
    assert shown.returncode == 0, shown.stderr
    assert "answers: 6 samples\n" in shown.stdout
    assert "files: 1 samples\n" in shown.stdout
    found = json.loads((tmp_path / "out/evaluation.json").read_text())["suites"]
    assert found["answers"]["confusion"]["labels"] == ["no", "yes"]
    assert found["files"]["metrics"]["bits_per_byte"] > 0
    again = ctl.json("evaluate", "1", "--suite", "answers")["suites"]["answers"]
    assert again.pop("cached")
    assert not found["answers"].pop("cached")
    assert again == found["answers"]


def test_what_cannot_be_measured_is_said(home: Path, tmp_path: Path, ctl: Ctl) -> None:
    missing = ctl("evaluate", str(tmp_path / "nothing"))
    assert (missing.returncode, "nothing is not a folder" in missing.stderr) == (5, True)
    unknown = ctl("evaluate", "1", "--suite", "other")
    assert (unknown.returncode, "there is no suite 'other'; the settings have answers" in unknown.stderr) == (2, True)
    both = ctl("evaluate", "1", "--benchmark-only", "--suite")
    assert both.returncode == 2


def write_chats(file: Path) -> None:
    chats = [
        {"messages": [{"role": "user", "content": f"Hi {n}"}, {"role": "assistant", "content": f"Hello {n}."}]}
        for n in range(6)
    ]
    file.write_text("".join(json.dumps(chat) + "\n" for chat in chats))


def test_the_commands_of_the_page_do_what_it_says(home: Path) -> None:
    write_chats(home / "chats.jsonl")
    [block] = re.findall(r"```sh\n(.*?)```", (REPOSITORY / "docs/evaluation.md").read_text(), re.DOTALL)
    search = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": search, "THORD_HOME": str(home)}
    done = subprocess.run(["bash", "-euc", block], cwd=home, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "answers: 6 samples; measured before" in done.stdout
    assert "tokens per second" in done.stdout
    assert "would have refused it" in done.stdout
    found = json.loads((home / "results/report-000001-against-000001.json").read_text())
    assert set(found["analysis"]["differences"]) == {0.0}  # a version beside itself
    assert "<svg" in (home / "results/report-000001-against-000001.html").read_text()


def test_a_version_for_which_nothing_is_held_out_has_no_report_of_its_own(home: Path, ctl: Ctl) -> None:
    nothing = ctl("report", "1")
    assert (nothing.returncode, "nothing is held out for version 000001" in nothing.stderr) == (2, True)

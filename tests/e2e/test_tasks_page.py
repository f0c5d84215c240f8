"""docs/tasks.md as it stands: its commands reach the parser, and its Flask application answers from a version's folder.

No service is started: what the commands ask is tested where they are (`tests/control/commands/model`).
"""

import re
import shlex
from pathlib import Path

import pytest

from control.cli import main as command_line
from engine import version
from engine.config.model import ModelSettings
from engine.manifest import Lineage
from engine.models import registry
from engine.tokenizers import bpe

PAGE = (Path(__file__).parents[2] / "docs/tasks.md").read_text()
SHAPE = ModelSettings(hidden=32, layers=2, heads=4, kv_heads=2, feed_forward=64, context=300)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A version of random weights, trained with a task of its own."""
    tokenizer = bpe.train(["What a day! negative neutral positive "] * 20, vocabulary=300, sample_bytes=1 << 20)
    weights = registry.module(registry.build(SHAPE, tokenizer.vocabulary, seed=1)).state_dict()
    settings = {"tasks": {"mood": {"kind": "classify", "labels": ["sad", "glad"]}}, "training": {}}
    lineage = Lineage(1, None, 1, "0" * 64, 0, settings, 1.0, {})
    version.publish(tmp_path / "000001", weights, SHAPE, tokenizer, lineage)
    return tmp_path / "000001"


def test_the_flask_application_answers_in_its_own_process(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("flask", reason="NOT CHECKED: the application of docs/tasks.md needs flask")
    [application] = (block.split("```")[0] for block in PAGE.split("```python\n")[1:])
    monkeypatch.setenv("MODEL", str(folder))
    names: dict = {"__name__": "application"}
    exec(application, names)
    try:
        with names["app"].test_client() as browser:
            found = browser.post("/classify", json={"texts": ["What a day!", "No."]}).json
            own = browser.post("/classify", json={"texts": ["What a day!"], "task": "mood"}).json
            partly = browser.post("/classify", json={"texts": ["What a day!", " "], "task": "mood"}).json
            wrong = browser.post("/classify", json={"texts": ["a"], "task": "nothing"})
    finally:
        names["model"].close()
    assert set(found["classes"]) <= {"negative", "neutral", "positive"}
    assert [sum(answer["probabilities"].values()) for answer in found["answers"]] == [pytest.approx(1)] * 2
    assert own["classes"][0] in ("sad", "glad")
    assert partly["classes"] == [own["classes"][0], None]
    assert partly["answers"][1]["error"]["message"] == "the input is empty"
    assert (wrong.status_code, "there is no task 'nothing'" in wrong.json["error"]) == (400, True)


def test_its_commands_are_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("THORD_HOME", str(tmp_path))
    (tmp_path / "reviews.txt").write_text("Good.\nBad.\n")
    commands = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
    assert len(commands) == 4
    not_running = {command_line.main(shlex.split(command)[1:]) for command in commands}
    assert not_running == {command_line.main(["status"])}

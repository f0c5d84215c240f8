"""What versions answered, for clients, from a file that may hold anything."""

import json
from pathlib import Path

import pytest

from control.paths import at_home
from daemon.supervisor.api import sample_answers


def test_each_answer_is_shown_and_long_ones_are_cut(tmp_path: Path) -> None:
    paths = at_home(tmp_path)
    paths.version(3).mkdir(parents=True)
    file = paths.version(3) / "evaluation.json"
    sample = {"prompt": "Who?", "expected": "me", "candidate": "x" * 5000, "incumbent": None}
    file.write_text(json.dumps({"samples": [sample], "metrics": {}}))
    [shown] = sample_answers.of_version(paths, 3)
    assert {name: shown[name] for name in ("prompt", "expected", "incumbent")} == {
        "prompt": "Who?",
        "expected": "me",
        "incumbent": None,
    }
    assert len(str(shown["candidate"])) < 2100


@pytest.mark.parametrize("text", ["", "{}", "[1", '{"samples": 3}', '{"samples": [{"prompt": 1}]}', "[]", "\xff"])
def test_what_cannot_be_read_is_no_sample(tmp_path: Path, text: str) -> None:
    paths = at_home(tmp_path)
    assert sample_answers.of_version(paths, 3) == []
    paths.version(3).mkdir(parents=True)
    (paths.version(3) / "evaluation.json").write_bytes(text.encode("latin-1"))
    assert sample_answers.of_version(paths, 3) == []

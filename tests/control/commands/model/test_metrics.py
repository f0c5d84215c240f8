"""`thorctl metrics`, which needs no thord, and the commands of docs/metrics.md."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.control.stand_in import REPOSITORY, Ctl


def test_figures_are_shown_to_people_and_programs(tmp_path: Path, ctl: Ctl) -> None:
    said, right = tmp_path / "said.txt", tmp_path / "right.txt"
    said.write_text("ham\nspam\nspam\neggs\n")
    right.write_text("ham\nham\nspam\nspam\n")
    asked = ("metrics", "--predictions", str(said), "--references", str(right), "--measure", "accuracy", "f1_macro")
    shown = ctl(*asked)
    assert (shown.returncode, shown.stderr) == (0, "")
    lines = [line.split() for line in shown.stdout.splitlines() if line]
    assert lines == [
        ["MEASURE", "VALUE", "SIGNATURE"],
        ["accuracy", "0.5000", "micro|labels:2"],
        ["f1_macro", "0.5833", "macro|labels:2"],
        ["CLASS", "PRECISION", "RECALL", "F1", "SUPPORT"],
        ["ham", "1.0000", "0.5000", "0.6667", "2"],
        ["spam", "0.5000", "0.5000", "0.5000", "2"],
        ["RIGHT", "\\", "PREDICTED", "ham", "spam", "(other)"],
        ["ham", "1", "1", "0"],
        ["spam", "0", "1", "1"],
        ["4", "predictions", "compared"],
    ]
    found = ctl.json(*asked)
    assert found["scores"]["accuracy"] == {"value": 0.5, "signature": "micro|labels:2", "parts": {}}
    assert found["confusion"]["counts"] == [[1, 1, 0], [0, 1, 1]]
    assert found["classes"]["ham"]["support"] == 2


def test_what_cannot_be_compared_is_said(tmp_path: Path, ctl: Ctl) -> None:
    said = tmp_path / "said.txt"
    said.write_text("one\n")
    missing = ctl("metrics", "--predictions", str(said), "--references", str(tmp_path / "none"))
    assert (missing.returncode, "none does not exist" in missing.stderr) == (5, True)
    unknown = ctl("metrics", "--predictions", str(said), "--references", str(said), "--measure", "blue")
    assert (unknown.returncode, "there is no measure 'blue'" in unknown.stderr) == (2, True)
    folder = ctl("metrics", "--predictions", str(tmp_path), "--references", str(said))
    assert (folder.returncode, str(tmp_path) in folder.stderr) == (1, True)


def test_the_commands_of_the_page_run(tmp_path: Path) -> None:
    [block] = re.findall(r"```sh\n(.*?)```", (REPOSITORY / "docs/metrics.md").read_text(), re.DOTALL)
    search = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euc", block], cwd=tmp_path, env={**os.environ, "PATH": search}, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    figures = dict(line.split()[:2] for line in done.stdout.splitlines() if len(line.split()) > 1)
    assert (figures["squad2_f1"], figures["accuracy"]) == ("83.3333", "0.5000")

"""The program of docs/fine-tuning.md, as it stands, against a real thord: from a file to an answer of the result."""

import os
import subprocess
import sys
from pathlib import Path

from control.client import Thord
from demo.text import Dialogue, to_json_lines
from tests.e2e.service import REPOSITORY, running

PROGRAM = (REPOSITORY / "docs/fine-tuning.md").read_text().split("```python\n")[1].split("```")[0]
KEY = "a-key-with-the-scope-train"


def test_the_program_of_the_page_fine_tunes_and_asks_the_result(tmp_path: Path, library: list[Dialogue]) -> None:
    (tmp_path / "talk.jsonl").write_text(to_json_lines(library[:40]), encoding="utf-8")
    keys = tmp_path / "keys"
    keys.write_text(f"{KEY}:generate,train\n")
    with running(tmp_path / "home", f'api.keys_file="{keys}"') as service:
        program = PROGRAM.replace("http://127.0.0.1:8000", service.url())
        assert program != PROGRAM
        done = subprocess.run(
            [sys.executable, "-c", program], check=False, capture_output=True, text=True, cwd=tmp_path, env=os.environ
        )
        assert done.returncode == 0, f"{done.stderr}\n{service.log('server')}\n{service.log('trainer')}"
        said = done.stdout.splitlines()
        assert said[0] == "Created fine-tuning job: ftjob-1"
        assert "New fine-tuned model created: thor@000001" in said
        assert "succeeded thor@000001" in said
        assert any(line.startswith("Step ") and "train loss" in line for line in said)
        assert said[said.index("succeeded thor@000001") + 1].startswith("step,train_loss,valid_loss")
        assert said[-1]
        job = Thord(service.home).job(1)
        assert (job["run_id"], job["state"], job["version"]) == ("talk", "completed", "000001")
        assert service.status()["version"] is None, "the result does not serve unless that is asked for"

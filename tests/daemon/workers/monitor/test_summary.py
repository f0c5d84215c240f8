"""Which runs are followed, and which of them is the newest."""

import json
from pathlib import Path

from control.paths import at_home
from daemon.workers.monitor.summary import Summary


def train(folder: Path, loss: float) -> None:
    folder.mkdir(parents=True)
    line = {"step": 1, "loss": loss}
    (folder / "metrics.jsonl").write_text(json.dumps(line) + "\n")


def test_runs_of_jobs_are_followed_and_the_newest_cycle_is_summed_up(tmp_path: Path) -> None:
    paths = at_home(tmp_path)
    train(paths.run_folder(3), 3.0)
    train(paths.job_run(9), 9.0)
    train(paths.runs / "draft-12", 1.0)
    Summary(paths).update({})
    assert sorted(folder.name for folder in paths.tensorboard.iterdir()) == ["000003", "job-000009"]
    assert json.loads(paths.training_summary.read_text())["cycle"] == 3

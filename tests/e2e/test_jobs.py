"""Jobs with real processes: killed at any moment they end as others do; cancelling keeps a checkpoint."""

import contextlib
import json
import os
import signal
from pathlib import Path

from control.answers import Json
from control.client import Thord
from control.job_answers import FINAL, Job
from demo.text import Dialogue, to_json_lines
from tests.e2e.service import Service, running

CHECKPOINTS = "training.checkpoint_every=3"


def submit(service: Service, corpus: Path, run_id: str, epochs: float = 2) -> Job:
    request: dict[str, Json] = {"train_files": [str(corpus)], "overrides": {"epochs": epochs, "seed": 7}}
    return Thord(service.home).submit_job(
        "train", run_id=run_id, request=request, retry_interval_seconds=0.0, retries=9
    )


def step(service: Service, job: Job) -> int:
    """How far its run is, as the supervisor has heard."""
    progress = Thord(service.home).job(job["id"])["progress"] or {}
    return int(str(progress.get("step", 0)))


def ended(service: Service, job: Job) -> Job:
    found = Thord(service.home).job(job["id"], wait=60)
    assert found["state"] in FINAL, service.log("thord")
    return found


def sha256(service: Service, job: Job) -> object:
    version = service.json("version", str(job["version"]))
    assert isinstance(version, dict)
    return version["sha256"]


def test_runs_that_are_killed_end_as_one_that_was_not(tmp_path: Path, library: list[Dialogue]) -> None:
    corpus = tmp_path / "library.jsonl"
    corpus.write_text(to_json_lines(library[:80]), encoding="utf-8")
    with running(tmp_path / "home", CHECKPOINTS) as service:
        undisturbed = ended(service, submit(service, corpus, "undisturbed"))
        assert undisturbed["state"] == "completed", undisturbed
        assert service.status()["version"] is None, "a run is no candidate"

        killed = submit(service, corpus, "killed")
        service.until(lambda: step(service, killed) >= 4)
        pid = service.worker_pid("trainer")
        assert pid is not None
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        service.until(lambda: Thord(service.home).job(killed["id"])["attempt"] == 2)
        service.until(lambda: step(service, killed) >= 6)
        service.kill()
        service.start(CHECKPOINTS)
        done = ended(service, killed)
        assert done["state"] == "completed", done
        assert [attempt["cause"] for attempt in done["attempts"]] == ["signal 9", "restart", "completed"]
        assert sha256(service, done) == sha256(service, undisturbed)

        cancelled = submit(service, corpus, "cancelled", epochs=200)
        service.until(lambda: step(service, cancelled) >= 4)
        assert service.ctl("cancel", "job", str(cancelled["id"])).returncode == 0
        followed = service.ctl("job", str(cancelled["id"]), "--follow")
        assert (followed.returncode, "cancelled by uid" in followed.stdout) == (1, True), followed.stdout
        assert list((service.home / "runs" / f"job-{cancelled['id']:06d}" / "checkpoints").iterdir())

        manifest = json.loads((service.home / "artifacts/models/killed/manifest.json").read_text())
        assert (manifest["run_id"], manifest["seed"], manifest["device"]) == ("killed", 7, "cpu")
        log = (service.home / "logs/jobs" / f"job-{killed['id']:06d}.log").read_text().splitlines()
        assert {json.loads(line)["job"] for line in log} == {killed["id"]}
        assert done["log_offset"] > 0

        tokenizer = Thord(service.home).submit_job(
            "tokenizer", run_id="words", request={"files": [str(corpus)], "vocabulary": 600}
        )
        assert ended(service, tokenizer)["result"] is not None
        measured = Thord(service.home).submit_job("evaluate", run_id="killed")
        figures = ended(service, measured)
        assert figures["state"] == "completed", figures
        assert (service.home / "artifacts/models/killed/eval/metrics.json").exists()

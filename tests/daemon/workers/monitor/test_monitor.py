"""The monitor as a real process."""

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from daemon.messages import HostFigures
from daemon.settings.sections import MonitoringSettings, Tables
from engine import artifacts, disk
from engine.artifacts import FileRecord
from engine.manifest import VersionManifest

SETTINGS = Tables(monitoring=MonitoringSettings(interval_seconds=1.0))


@pytest.fixture
def monitor(spawn_worker, tmp_path):
    return spawn_worker("monitor", tmp_path, SETTINGS)


def train(home: Path, cycle: int, steps: range) -> None:
    folder = home / "runs" / f"{cycle:06d}"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "metrics.jsonl").open("a") as file:
        for step in steps:
            file.write(json.dumps({"step": step, "loss": 8.0 / (step + 1), "tokens_per_second": 64.0}) + "\n")


def losses(home: Path, cycle: int) -> list[int]:
    accumulator = EventAccumulator(str(home / "tensorboard" / f"{cycle:06d}"), size_guidance={"scalars": 0})
    accumulator.Reload()
    return [event.step for event in accumulator.Scalars("train/loss")]


def summary(home: Path, where: Callable[[dict[str, object]], bool]) -> dict[str, object]:
    """``training_summary.json`` once it satisfies ``where``."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        file = home / "training_summary.json"
        if file.exists() and where(found := json.loads(file.read_text())):
            return found
        time.sleep(0.05)
    raise AssertionError("no such summary")


def test_host_and_processes_are_measured_by_a_small_process_without_torch(monitor, tmp_path) -> None:
    monitor.expect(HostFigures)
    figures = monitor.expect(HostFigures).figures
    assert figures["memory"]["total"] == psutil.virtual_memory().total
    assert figures["disk"]["total"] == shutil.disk_usage(tmp_path).total
    assert figures["cores"] == os.cpu_count()
    assert 0 <= figures["cpu_percent"] <= 100
    assert {name: process["pid"] for name, process in figures["processes"].items()} == {
        "thord": os.getpid(),
        "monitor": monitor.pid,
    }
    measured = figures["processes"]["monitor"]
    assert measured["memory"] == pytest.approx(psutil.Process(monitor.pid).memory_info().rss, rel=0.2)
    assert 0 <= measured["cpu_percent"] <= 100
    assert isinstance(figures["gpus"], list)
    assert psutil.Process(monitor.pid).memory_info().rss < 64 << 20
    train(tmp_path, 1, range(3))
    summary(tmp_path, lambda found: found.get("step") == 2)
    assert psutil.Process(monitor.pid).memory_info().rss < 96 << 20
    assert "torch" not in Path(f"/proc/{monitor.pid}/maps").read_text()
    assert monitor.stop() == 0


def test_the_newest_run_is_summed_up_and_no_step_is_doubled_by_a_restart(monitor, spawn_worker, tmp_path) -> None:
    train(tmp_path, 3, range(5))
    train(tmp_path, 4, range(5))
    found = summary(tmp_path, lambda found: found.get("cycle") == 4)
    assert found["latest"] == {"loss": 1.6, "tokens_per_second": 64.0}
    assert found["version"] is None
    monitor.kill()
    train(tmp_path, 4, range(5, 9))
    spawn_worker("monitor", tmp_path, SETTINGS)
    found = summary(tmp_path, lambda found: found["step"] == 8)
    assert found["host"]["cores"] == os.cpu_count()
    assert losses(tmp_path, 3) == list(range(5))
    assert losses(tmp_path, 4) == list(range(9))


def test_the_version_in_service_comes_with_its_parameters(monitor) -> None:
    paths = monitor.paths
    manifest = VersionManifest(
        version=12,
        parent=None,
        cycle=12,
        created_at="",
        family="thor",
        parameters=1234,
        tokenizer_sha256="",
        snapshot_sha256="",
        seed=0,
        settings={},
        libraries={},
        training_seconds=0,
        metrics={},
        files={"model.safetensors": FileRecord(sha256="", size=0)},
    )
    paths.version(12).mkdir(parents=True)
    disk.write_json(paths.version(12) / "manifest.json", manifest.model_dump(mode="json"))
    artifacts.point(paths.current, paths.version(12))
    found = summary(paths.state, lambda found: found["version"] == 12)
    assert found["parameters"] == 1234


def test_where_it_cannot_write_it_says_so_once_and_still_measures(monitor, tmp_path) -> None:
    (tmp_path / "tensorboard").write_text("in the way")
    train(tmp_path, 1, range(3))
    monitor.forget()
    for _ in range(2):
        monitor.expect(HostFigures)
    assert monitor.log.count("cannot write figures") == 1
    (tmp_path / "tensorboard").unlink()
    summary(tmp_path, lambda found: found.get("step") == 2)
    assert losses(tmp_path, 1) == [0, 1, 2]


def test_a_new_interval_is_taken_over(spawn_worker, tmp_path) -> None:
    monitor = spawn_worker("monitor", tmp_path, Tables(monitoring=MonitoringSettings(interval_seconds=3600)))
    monitor.expect(HostFigures)
    monitor.reload(SETTINGS)
    for _ in range(2):
        monitor.expect(HostFigures, timeout=15)

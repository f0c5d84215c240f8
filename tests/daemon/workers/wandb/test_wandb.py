"""Figures of a run, passed on to the real wandb and read back; and runs that a broken wandb does not hold up."""

import json
import os
import signal
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from daemon.settings.integrations import WandbSettings
from daemon.workers.trainer import wandb_process
from daemon.workers.trainer.wandb_process import WandbProcess
from daemon.workers.wandb.__main__ import Follower
from daemon.workers.wandb.order import Order
from daemon.workers.wandb.translation import COLUMNS, translate

STEPS = [
    {"step": step, "loss": 3.0 - step / 10, "gradient_norm": 0.5, "samples_per_second": 12.0, "epoch": 1 + (step > 2)}
    for step in range(1, 5)
]
EPOCHS = [
    {
        "step": 2 * number,
        "epoch_ended": number,
        "epochs": 2,
        "samples": 8 * number,
        "epoch_train_loss": 2.85 - number / 10,
        "epoch_validation_loss": 2.5 + number / 10,
        "epoch_best_validation_loss": 2.6,
        "epoch_without_improvement": number - 1,
        "epoch_seconds": 1.0,
        "epoch_samples_per_second": 8.0,
    }
    for number in (1, 2)
]
FINAL = {"step": 4, "early_stopped": True, "best_step": 2, "test_loss": 2.0, "test_bits_per_character": 1.0}
LINES = [{"step": 0, "parameters": 7}, *STEPS[:2], EPOCHS[0], *STEPS[2:], EPOCHS[1], FINAL]


def write(folder: Path, lines: list[dict]) -> None:
    with (folder / "metrics.jsonl").open("a") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "000012"
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps({"plan": {"model": {"family": "thor"}}, "recipe": {"seed": 7}}))
    return folder


def started(folder: Path, mode: str = "offline", finish_seconds: float = 60.0) -> WandbProcess:
    settings = WandbSettings(enabled=True, project="try", mode=mode, finish_seconds=finish_seconds)
    process = WandbProcess(settings, folder, folder.parent / "wandb.log")
    process.start()
    return process


def await_end(process: WandbProcess) -> int:
    """Its status. The process is nobody's business but its own, so that nothing public waits for it."""
    assert process._process is not None
    return process._process.wait(60)


def records(file: Path) -> Iterator[bytes]:
    """Of wandb's file: behind seven bytes, a log as LevelDB writes it, in blocks of 32 KiB."""
    content, at, whole = file.read_bytes(), 7, b""
    while len(content) - at >= 7:
        if 32_768 - at % 32_768 < 7:
            at += 32_768 - at % 32_768
        length, kind = struct.unpack_from("<HB", content, at + 4)
        whole += content[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # all of a record, or its last part
            yield whole
            whole = b""


def read_back(folder: Path) -> tuple[list[dict], dict]:
    """Rows of the history, and the summary."""
    from wandb.proto import wandb_internal_pb2

    history, summary = [], {}
    (file,) = (folder / "wandb").glob("offline-run-*/*.wandb")
    for data in records(file):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        for kind, items in (("history", record.history.item), ("summary", record.summary.update)):
            found = {(one.key or "/".join(one.nested_key)): json.loads(one.value_json) for one in items}
            if kind == "history" and found:
                history.append(found)
            summary |= found if kind == "summary" else {}
    return history, summary


def test_the_real_wandb_is_told_the_documented_figures(folder: Path) -> None:
    pytest.importorskip("wandb", reason="wandb is not installed: nothing says that it takes what we pass on")
    process = started(folder)
    write(folder, LINES)
    process.close()
    assert await_end(process) == 0, (folder.parent / "wandb.log").read_text()
    history, summary = read_back(folder)
    by_step = {row["global_step"]: row for row in history if "train_loss" in row}
    assert list(by_step) == [1, 2, 3, 4]
    assert by_step[1].keys() >= {"train_loss", "train_ppl", "grad_norm", "samples_per_sec", "global_step", "epoch"}
    assert [by_step[step]["train_loss"] for step in by_step] == pytest.approx([2.9, 2.8, 2.7, 2.6])
    for step, number in ((2, 1), (4, 2)):
        assert by_step[step]["val_loss"] == EPOCHS[number - 1]["epoch_validation_loss"]
        assert (by_step[step]["best_val_loss"], by_step[step]["epochs_no_improve"]) == (2.6, number - 1)
    assert (summary["test_loss"], summary["early_stopped"]) == (2.0, True)
    assert summary["test_ppl"] == pytest.approx(7.389, abs=1e-3)
    (table,) = (folder / "wandb").glob("offline-run-*/files/media/table/epoch_summary*.json")
    found = json.loads(table.read_text())
    assert found["columns"] == list(COLUMNS)
    assert [row[:2] for row in found["data"]] == [[1, 2], [2, 4]]


class Recorded:
    """Stands for a run at Weights & Biases."""

    def __init__(self) -> None:
        self.logged: list[tuple[int, dict]] = []
        self.ends: list[tuple[dict, list]] = []

    def log(self, step: int, values: dict) -> None:
        self.logged.append((step, values))

    def end(self, values: dict, rows: list) -> None:
        self.ends.append((values, rows))

    def finish(self) -> None:
        pass


def order(folder: Path) -> Order:
    log = folder.parent / "log"
    return Order(folder=folder, project="try", mode="offline", name="one", log=log, finish_seconds=1.0)


def test_a_run_that_resumes_is_told_each_step_once(folder: Path) -> None:
    """Also where the follower is another one, and where a line was only half written."""
    (folder / "wandb").mkdir()
    run = Recorded()
    follower = Follower(run, order(folder))
    write(folder, LINES[:4])
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"step": 3, "lo')
    follower.pass_on()
    assert [step for step, _ in run.logged] == [1, 2, 2]
    (folder / "metrics.jsonl").rename(folder / "old")  # cut back to step 1, and written anew
    write(folder, LINES[:2])
    follower.pass_on()
    write(folder, LINES[2:5])
    other = Follower(run, order(folder))
    other.pass_on()
    write(folder, LINES[5:])
    other.pass_on()
    assert [step for step, _ in run.logged] == [1, 2, 2, 3, 4, 4]
    assert [[row[0] for row in rows] for _, rows in run.ends] == [[1.0, 2.0]]


def test_nothing_but_documented_figures_is_passed_on() -> None:
    assert translate({"step": 3, "validation_loss": 2.0}) is None
    assert translate({"step": 3, "histograms": {}, "examples": [{"before": "secret"}]}) is None
    assert translate({"step": 3, "loss": None, "gradient_norm": float("nan")}).values == {"global_step": 3.0}
    assert translate({"step": 1, "loss": 1e4}).values.keys() == {"train_loss", "global_step"}


FAKES = {
    "hangs": "import time\ntime.sleep(1000)",
    "no server": """
class Settings:
    def __init__(self, **given): pass
class Run:
    summary = {}
    def log(self, values, step=None): open(FILE, "a").write(f"{step} {sorted(values)}\\n")
    def finish(self): pass
class Table:
    def __init__(self, **given): pass
def init(mode, **given):
    if mode == "online":
        raise RuntimeError("api.wandb.ai does not answer")
    return Run()
""",
    "broken": "raise ValueError('half installed')",
}


@pytest.fixture
def fake(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A wandb that is not itself; the file that it writes what it is told to."""
    file = tmp_path / "told"
    (tmp_path / "fakes").mkdir()
    (tmp_path / "fakes" / "wandb.py").write_text(FAKES[request.param].replace("FILE", repr(str(file))))
    here = os.pathsep.join([str(tmp_path / "fakes"), str(Path(__file__).parents[4])])
    monkeypatch.setenv("PYTHONPATH", here)
    return file


@pytest.mark.parametrize("fake", ["hangs"], indirect=True)
@pytest.mark.usefixtures("fake")
def test_a_wandb_that_hangs_holds_up_nothing_and_is_killed(folder: Path) -> None:
    write(folder, LINES)
    process = started(folder, finish_seconds=1.0)
    began = time.monotonic()
    process.close()
    assert time.monotonic() - began < 0.5
    assert await_end(process) == -signal.SIGKILL


@pytest.mark.parametrize("fake", ["no server"], indirect=True)
def test_without_its_server_a_run_is_kept_with_one_warning(folder: Path, fake: Path) -> None:
    write(folder, LINES)
    process = started(folder, mode="online")
    process.close()
    assert await_end(process) == 0
    warnings = [json.loads(line) for line in (folder.parent / "wandb.log").read_text().splitlines()]
    assert ["cannot be reached" in line["event"] for line in warnings] == [True]
    assert [line.split()[0] for line in fake.read_text().splitlines()] == ["1", "2", "2", "3", "4", "4", "None"]


@pytest.mark.parametrize("fake", ["broken"], indirect=True)
@pytest.mark.usefixtures("fake")
def test_a_broken_wandb_is_one_warning(folder: Path) -> None:
    process = started(folder)
    process.close()
    assert await_end(process) == 0
    (line,) = (folder.parent / "wandb.log").read_text().splitlines()
    assert json.loads(line)["reason"] == "half installed"


def test_a_missing_wandb_is_one_warning(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    warnings: list[str] = []
    monkeypatch.setattr(wandb_process, "_logger", SimpleNamespace(warning=warnings.append))
    monkeypatch.setattr(wandb_process.importlib.util, "find_spec", lambda name: None)
    process = started(folder)
    process.start()
    process.close()
    assert process._process is None
    assert ["wandb is not installed" in one for one in warnings] == [True]


def test_a_process_that_cannot_be_started_is_one_warning(folder: Path) -> None:
    settings = WandbSettings(enabled=True, mode="offline")
    process = WandbProcess(settings, folder, folder / "log", command=("/nowhere/python",))
    process.start()
    process.close()
    assert process._process is None

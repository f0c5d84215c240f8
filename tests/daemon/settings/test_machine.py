"""``thord --check`` refuses what the workers of this machine would refuse."""

from pathlib import Path

import pytest

from daemon.settings import machine
from daemon.supervisor.main import main


@pytest.mark.parametrize(
    ("gpu", "chosen", "named"),
    [
        (False, ["inference.device=cuda"], ["--set inference.device=cuda: inference.device", "no NVIDIA GPU"]),
        (False, ["training.device=cuda", "inference.device=cuda"], ["training.device", "inference.device"]),
        (False, ["training.precision=fp16"], ["training.precision", "CPU"]),
        (True, ["inference.device=cpu", "inference.precision=fp16"], ["inference.precision"]),
        (True, ["inference.precision=fp16", "training.device=cuda"], []),
        (False, ["inference.precision=bf16"], []),
    ],
)
def test_what_this_machine_cannot_do_is_a_fault(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    gpu: bool,
    chosen: list[str],
    named: list[str],
) -> None:
    monkeypatch.setattr(machine, "_has_gpu", lambda: gpu)
    arguments = [part for setting in chosen for part in ("--set", setting)]
    assert main(["--check", "--home", str(tmp_path), *arguments]) == (2 if named else 0)
    said = capsys.readouterr().err
    assert [name for name in named if name not in said] == []


def test_an_environment_that_is_not_read_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("SECURITY__API_KEYS", "hunter2")
    assert main(["--check", "--home", str(tmp_path)]) == 0
    said = capsys.readouterr()
    assert "SECURITY__API_KEYS" in said.err
    assert "hunter2" not in said.err + said.out


@pytest.mark.parametrize("hidden", ["", "-1"])
def test_gpus_that_are_hidden_are_not_there(monkeypatch: pytest.MonkeyPatch, hidden: str) -> None:
    monkeypatch.setattr(machine, "gpu_memory", lambda: 1 << 34)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert machine._has_gpu()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    assert not machine._has_gpu()

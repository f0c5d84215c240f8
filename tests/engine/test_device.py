"""Where a model is computed: the impossible is refused, and a busy machine does not change the answer."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator

import pytest
import torch

from engine import device
from engine.device import ImpossiblePlacementError, resolve

BURN = "import time\nend = time.monotonic() + 60\nwhile time.monotonic() < end: pass"
"""Ends by itself, should this process be killed before it can end it."""


@pytest.fixture
def busy_machine() -> Iterator[None]:
    with contextlib.ExitStack() as started:
        for _ in range(4):
            burning = started.enter_context(subprocess.Popen([sys.executable, "-c", BURN]))
            started.callback(burning.kill)
        yield


def test_impossible_pairs_are_refused() -> None:
    with pytest.raises(ImpossiblePlacementError, match="fp16"):
        resolve("cpu", "fp16")
    if not torch.cuda.is_available():
        with pytest.raises(ImpossiblePlacementError, match="cuda"):
            resolve("cuda", "auto")


@pytest.mark.parametrize(("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_what_is_asked_for_is_taken(precision: device.Precision, dtype: torch.dtype) -> None:
    assert resolve("cpu", precision).dtype == dtype


def test_auto_is_the_same_however_busy_the_machine_is(busy_machine: None) -> None:
    answers = set()
    for _ in range(10):
        device._cpu_is_fast_in_bf16.cache_clear()
        answers.add(resolve("cpu", "auto").dtype)
    assert len(answers) == 1


@pytest.mark.parametrize("lost", [False, True])
def test_a_gpu_that_can_be_waited_for_no_more_is_lost(lost: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def wait(_: torch.device) -> None:
        if lost:
            raise RuntimeError("CUDA error: unspecified launch failure")

    monkeypatch.setattr(torch.cuda, "synchronize", wait)
    assert device.is_lost(torch.device("cuda")) is lost
    assert not device.is_lost(torch.device("cpu"))

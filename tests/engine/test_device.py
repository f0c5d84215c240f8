"""Where a model is computed: the impossible is refused, and a busy machine does not change the answer."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
import torch

from engine import device
from engine.device import ImpossiblePlacementError, resolve


@pytest.fixture
def busy_machine() -> Iterator[None]:
    burning = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(4)]
    yield
    for process in burning:
        process.kill()
        process.wait()


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

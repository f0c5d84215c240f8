"""Where a model is computed: the impossible is refused, and a busy machine does not change the answer."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import pytest
import torch

from engine import device
from engine.config.placement import Precision
from engine.device import ImpossiblePlacementError, resolve
from engine.families.table import FamilyName

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
def test_what_is_asked_for_is_taken(precision: Precision, dtype: torch.dtype) -> None:
    assert resolve("cpu", precision).dtype == dtype


@pytest.mark.parametrize("times", [20, pytest.param(100, marks=pytest.mark.soak)])
def test_auto_is_the_same_however_busy_the_machine_is(busy_machine: None, times: int) -> None:
    answers = set()
    for _ in range(times):
        device.capabilities.cache_clear()
        answers.add(resolve("cpu", "auto").dtype)
    assert len(answers) == 1


@dataclass(frozen=True)
class Found:
    kind: Literal["cpu", "cuda"]
    fast_bf16: bool
    trains_lstm_bf16: bool = True


FAST, PLAIN = Found("cpu", fast_bf16=True), Found("cpu", fast_bf16=False)
WITHOUT_LSTM = Found("cpu", fast_bf16=True, trains_lstm_bf16=False)


@pytest.mark.parametrize(
    ("precision", "trained", "found", "dtype"),
    [
        ("auto", "thor", FAST, torch.bfloat16),
        ("auto", "thor", PLAIN, torch.float32),
        ("auto", "char_lstm", FAST, torch.bfloat16),
        ("auto", "char_lstm", WITHOUT_LSTM, torch.float32),
        ("auto", None, WITHOUT_LSTM, torch.bfloat16),
        ("bf16", "thor", PLAIN, torch.bfloat16),
        ("bf16", None, WITHOUT_LSTM, torch.bfloat16),
        ("auto", "thor", Found("cuda", fast_bf16=True), torch.bfloat16),
        ("auto", "thor", Found("cuda", fast_bf16=False), torch.float16),
    ],
)
def test_auto_takes_what_is_fast_and_can_be_computed(
    precision: Precision, trained: FamilyName | None, found: Found, dtype: torch.dtype
) -> None:
    assert device.choose_dtype(precision, trained, found) == dtype


def test_an_lstm_in_bf16_is_refused_where_it_cannot_be_trained() -> None:
    with pytest.raises(ImpossiblePlacementError, match=r"precision 'bf16' cannot train char_lstm .* use fp32 or auto"):
        device.choose_dtype("bf16", "char_lstm", WITHOUT_LSTM)


def test_what_is_said_of_this_processor_is_so() -> None:
    """The refusal stands exactly where torch cannot train an LSTM in bf16."""
    lstm = torch.nn.LSTM(8, 8, 2)
    try:
        with torch.autocast("cpu", torch.bfloat16):
            lstm(torch.randn(3, 2, 8))[0].float().sum().backward()
        computes = True
    except RuntimeError:
        computes = False
    assert device.capabilities("cpu").trains_lstm_bf16 is computes


@pytest.mark.parametrize("lost", [False, True])
def test_a_gpu_that_can_be_waited_for_no_more_is_lost(lost: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def wait(_: torch.device) -> None:
        if lost:
            raise RuntimeError("CUDA error: unspecified launch failure")

    monkeypatch.setattr(torch.cuda, "synchronize", wait)
    assert device.is_lost(torch.device("cuda")) is lost
    assert not device.is_lost(torch.device("cpu"))

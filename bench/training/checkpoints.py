"""What checkpoints cost a run: written beside the loop, and waited for.

One run, in turns of some steps that each begin with a checkpoint of one way, or with none. Whatever is still being
written when a turn ends is waited for within it.
"""

import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import torch
import work
from torch import Tensor
from work import Size

from engine import device, memory
from engine.data.batches import Rows
from engine.models import registry
from engine.training.checkpoint import Checkpoints, Progress
from engine.training.loop import Loop
from engine.training.objectives.language import MaskedCrossEntropy
from engine.training.reporting.reporter import Figures, Silent

_WAYS = ("none", "beside", "waited")
_ROUNDS, _STEPS = 7, 4
"""Turns of each way that count, and the steps of one turn."""


@dataclass
class Turns:
    """Seconds of the turns of one way.

    Attributes:
        held: the loop stood still for the checkpoint.
        writing: processor time of the thread that copied and wrote it.
        whole: the turn took.
    """

    held: list[float] = field(default_factory=list)
    writing: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Cost:
    """Medians in seconds, as in `Turns`, by way."""

    held: dict[str, float]
    writing: float
    whole: dict[str, float]

    def __str__(self) -> str:
        held, whole = self.held, self.whole
        beside, waited = (whole[way] - whole["none"] for way in ("beside", "waited"))
        return (
            f"a checkpoint holds the loop {held['beside'] * 1e3:.1f} ms beside it and {held['waited'] * 1e3:.0f} ms "
            f"waited for: {held['beside'] / held['waited']:.1%} (goal < 5%); its writing takes "
            f"{self.writing * 1e3:.0f} ms of a core\n"
            f"  {_STEPS} steps take {whole['none']:.2f} s without one, {beside * 1e3:.0f} ms more with one beside and "
            f"{waited * 1e3:.0f} ms more with one waited for: {beside / waited:.0%}"
        )


class Timed(Checkpoints):
    """Knows how long it holds the loop, and takes turns in how it does."""

    way = _WAYS[0]
    held = writing = 0.0

    def save(self, weights: Mapping[str, Tensor], optimizer: Mapping[str, Tensor], progress: Progress) -> None:
        if self.way == "none":
            return
        began = time.perf_counter()
        super().save(weights, optimizer, progress)
        if self.way == "waited":
            self.wait()
        self.held = time.perf_counter() - began

    def await_copies(self) -> None:
        began = time.perf_counter()
        super().await_copies()
        self.held += time.perf_counter() - began

    def _write(self, weights: Mapping[str, Tensor], optimizer: Mapping[str, Tensor], progress: Progress) -> None:
        super()._write(weights, optimizer, progress)
        self.writing = time.thread_time()  # the thread is a new one, and has done nothing else than copy


class Clock(Silent):
    """Ends a turn after so many steps, and begins the next."""

    def __init__(self, checkpoints: Timed) -> None:
        self.turns: dict[str, Turns] = defaultdict(Turns)
        self._checkpoints = checkpoints
        self._began = time.perf_counter()

    def stepped(self, figures: Figures) -> None:
        if figures.step % _STEPS:
            return
        checkpoints = self._checkpoints
        checkpoints.wait()
        now = time.perf_counter()
        turns, number = self.turns[checkpoints.way], figures.step // _STEPS
        if number > len(_WAYS) + 1:  # the first turn has no checkpoint in any case, and one of each is a warm-up
            turns.held.append(checkpoints.held)
            turns.writing.append(checkpoints.writing)
            turns.whole.append(now - self._began)
        checkpoints.way = _WAYS[number % len(_WAYS)]
        self._began = time.perf_counter()


def measure(size: Size) -> Cost:
    """Train a model of this size, in turns."""
    memory.keep_freed_memory()  # as in the trainer
    torch.set_num_threads(psutil.cpu_count(logical=False) or 1)
    steps = _STEPS * (len(_WAYS) * (_ROUNDS + 1) + 1)
    settings = work.training(size, steps).model_copy(update={"checkpoint_every": _STEPS})
    model = registry.build(size.model, size.vocabulary, work.SEED)
    placement = device.resolve("cpu", "bf16")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        work.write(folder, size, steps)
        rows = Rows(work.read(folder, "packed"), size.length)
        with Timed(folder / "checkpoints", keep=2) as checkpoints:
            clock = Clock(checkpoints)
            Loop(model, MaskedCrossEntropy(), rows, None, settings, placement, checkpoints, clock).run()
    turns = clock.turns
    return Cost(
        {way: statistics.median(turns[way].held) for way in _WAYS[1:]},
        statistics.median(turns["beside"].writing),
        {way: statistics.median(turns[way].whole) for way in _WAYS},
    )

"""How long a checkpoint keeps the loop from its next step: written beside it, and waited for."""

import statistics
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
import work
from torch import Tensor
from work import Size

from engine import memory
from engine.models import registry
from engine.training import optim
from engine.training.checkpoint import Checkpoints, Progress

_ROUNDS = 5


@dataclass(frozen=True)
class Cost:
    """Medians in seconds.

    Attributes:
        beside: the loop stands still where the checkpoint is written beside it.
        waited: it stands still where the checkpoint is waited for.
        writing: processor time of the thread that writes, which the loop's threads may be short of.
    """

    beside: float
    waited: float
    writing: float


class Timed(Checkpoints):
    """Knows the processor time of writing."""

    writing = 0.0

    def _write(self, weights: Mapping[str, Tensor], optimizer: Mapping[str, Tensor], progress: Progress) -> None:
        began = time.thread_time()
        super()._write(weights, optimizer, progress)
        self.writing = time.thread_time() - began


def measure(size: Size) -> Cost:
    """Save a model of this size again and again, in turn in both ways."""
    memory.keep_freed_memory()  # as in the trainer
    model = registry.module(registry.build(size.model, size.vocabulary, seed=0))
    state = optim.make(model, work.training(size, 1), torch.bfloat16).state()
    beside, waited, writing = [], [], []
    with tempfile.TemporaryDirectory() as folder, Timed(Path(folder), keep=2) as checkpoints:
        for step in range(2 * _ROUNDS + 2):
            began = time.perf_counter()
            checkpoints.save(model.state_dict(), state, Progress(step=step))
            if step % 2:
                checkpoints.wait()
            seconds = time.perf_counter() - began
            if not step % 2:
                checkpoints.wait()
            if step > 1:  # the first of both are a warm-up
                (waited if step % 2 else beside).append(seconds)
                writing.append(checkpoints.writing)
    return Cost(statistics.median(beside), statistics.median(waited), statistics.median(writing))

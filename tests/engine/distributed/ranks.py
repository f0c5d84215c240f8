"""The ranks for `conftest`: each is told by lines of a pipe which runs to carry out, together with the others.

``python ranks.py IN,OUT IN,OUT`` forks a rank for each pair of descriptors, and each goes through many runs: importing
torch and its compiler, which sharding loads, takes longer than they do.
"""

import gc
import itertools
import json
import os
import sys
from pathlib import Path

import torch
import torch._dynamo
import torch.distributed as dist
import torch.distributed.fsdp
from torch import Tensor

from engine.data.batches import Batch
from engine.distributed import run as together
from engine.distributed.meeting import Meeting
from engine.models.base import LanguageModel
from engine.training.objectives.language import MaskedCrossEntropy
from engine.training.reporting.reporter import Figures, Silent
from engine.training.spec import RunPaths, RunSpec


class Watched(Silent):
    """Remembers what was reported; asks to stop before a step."""

    def __init__(self, order: dict[str, object]) -> None:
        self.order = order
        self.losses: list[float] = []
        self.norms: list[float] = []
        self.validations: list[float] = []
        self.stumbles: list[str] = []
        self.step = 0

    def started(self, step: int, steps: int) -> None:
        self.step = step

    def stepped(self, figures: Figures) -> None:
        self.step = figures.step
        self.losses.append(figures.loss)
        self.norms.append(figures.gradient_norm)

    def validated(self, step: int, loss: float, best: bool) -> None:
        self.validations.append(loss)

    def stumbled(self, step: int, action: str, loss: float, gradient_norm: float) -> None:
        self.stumbles.append(action)

    def stopping(self) -> bool:
        return self.order.get("stop_at") == self.step


class Starved(MaskedCrossEntropy):
    """Memory that does not suffice for more than one row, on one rank."""

    def backward(self, model: LanguageModel, batch: Batch, scale: float) -> dict[str, Tensor]:
        if len(batch.tokens_BT) > 1:
            torch.empty(1 << 60, dtype=torch.uint8)  # torch itself says that there is not enough
        return super().backward(model, batch, scale)


def carry_out(order: dict, meeting: Meeting) -> dict:
    objective = Starved if order.get("starve") == meeting.rank else MaskedCrossEntropy
    together.run.objectives.make = lambda settings, reference: objective(settings.label_smoothing, reference)
    watched = Watched(order)
    if meeting.rank:
        together.Silent = lambda: watched
    error = ""
    try:
        if meeting.rank:
            together.follow(meeting)
        else:
            plan = RunSpec.model_validate_json(order["plan"])
            folder, snapshot, base, target = (Path(text) if text else None for text in order["places"])
            together.lead(meeting, plan, RunPaths(folder, snapshot, base, target), watched)
    except Exception as failure:
        error = f"{type(failure).__name__}: {failure}"
    return {
        "losses": watched.losses,
        "norms": watched.norms,
        "validations": watched.validations,
        "stumbles": watched.stumbles,
        "error": error,
    }


def serve(orders: int, answers: int) -> None:
    """Carry out a rank's runs until there are no more orders."""
    with os.fdopen(orders) as lines, os.fdopen(answers, "w") as told:
        for line in lines:
            order = json.loads(line)
            os.environ |= {key: str(value) for key, value in order["environment"].items()}
            print(json.dumps(carry_out(order, Meeting())), file=told, flush=True)
            if order.get("leave"):
                os._exit(1)  # as `daemon.workers.trainer.rank` does
            if dist.is_initialized():
                dist.destroy_process_group()


pairs = [tuple(map(int, pair.split(","))) for pair in sys.argv[1:]]
gc.freeze()  # a collection in a rank would copy all of its pages
for pair in pairs:
    if os.fork() == 0:
        for other in itertools.chain.from_iterable(pairs):
            if other not in pair:
                os.close(other)
        serve(*pair)
        os._exit(0)
for descriptor in itertools.chain.from_iterable(pairs):
    os.close(descriptor)
for _ in pairs:
    os.wait()

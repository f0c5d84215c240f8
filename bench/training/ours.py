"""Our loop, as the trainer runs it, but for its reports and checkpoints."""

import tempfile
import time
from pathlib import Path

import psutil
import torch
from contestant import Contestant

from engine import device, memory
from engine.data import shard
from engine.data.batches import Batch, Rows
from engine.huggingface import model_config, weights
from engine.models import registry
from engine.training.checkpoint import Checkpoints
from engine.training.loop import Loop
from engine.training.objectives.language import MaskedCrossEntropy
from engine.training.reporting.reporter import Figures, Silent, Stopped


class Counting(MaskedCrossEntropy):
    """Adds up what is supervised."""

    supervised = 0

    def weight(self, batch: Batch) -> int:
        self.supervised += batch.supervised
        return batch.supervised


class Timed(Rows):
    """Knows how long the loop waited for data."""

    seconds = 0.0

    def of_step(self, *step: int) -> list[Batch]:
        began = time.perf_counter()
        batches = super().of_step(*step)
        self.seconds += time.perf_counter() - began
        return batches


class Unsaved(Checkpoints):
    def save(self, *_: object) -> None:
        pass


class Turns(Silent):
    """Lets the contestant stop the loop."""

    going = True
    seen = 0

    def stepped(self, figures: Figures) -> None:
        self.going = contestant.stepped(figures.loss, objective.supervised - self.seen)
        self.seen = objective.supervised

    def stopping(self) -> bool:
        return not self.going


memory.keep_freed_memory()
contestant = Contestant()
torch.set_num_threads(psutil.cpu_count(logical=False) or 1)
shape = model_config.read(contestant.folder / "model").settings
model = registry.skeleton(shape, contestant.size.vocabulary)
names = list(registry.module(model).state_dict())
found = weights.read(contestant.folder / "model", names)
registry.fill(model, {name: tensor.clone().requires_grad_() for name, tensor in found.items()})
del found  # it maps the file
precision = "fp32" if contestant.float32 else "bf16"
placement = device.resolve("cuda" if contestant.device.type == "cuda" else "cpu", precision)
rows = Timed(shard.read(contestant.folder / contestant.data), contestant.size.length)
objective = Counting()
with tempfile.TemporaryDirectory() as folder, Unsaved(Path(folder) / "checkpoints", keep=2) as checkpoints:
    try:
        settings = contestant.settings.model_copy(update={"compile": contestant.compiled})
        Loop(model, objective, rows, None, settings, placement, checkpoints, Turns()).run()
    except Stopped:
        contestant.finished(data_share=rows.seconds / contestant.seconds)

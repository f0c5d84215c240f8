"""The losses of a small run of every family, for `test_run_golden`. After a change that is meant to change them:

cd tests/engine/training/run && OMP_NUM_THREADS=1 PYTHONPATH=$OLDPWD $OLDPWD/.venv/bin/python golden.py > golden.json
"""

import json
import tempfile
from pathlib import Path

import numpy as np
import torch

from engine.config.model import ModelSettings
from engine.data import shard
from engine.data.batches import Rows
from engine.data.encoded import Encoded
from engine.device import Placement
from engine.models import registry
from engine.training.checkpoint import Checkpoints
from engine.training.loop import Loop
from engine.training.objectives.language import MaskedCrossEntropy
from engine.training.recipe import Recipe
from engine.training.reporting.reporter import Figures, Silent

SHAPES = {
    "thor": {"hidden": 32, "heads": 4, "kv_heads": 2, "feed_forward": 64, "layers": 2},
    "gpt2": {"hidden": 32, "heads": 4, "layers": 2},
    "char_lstm": {"hidden": 32},
    "agiformer": {"hidden": 32, "heads": 4, "feed_forward": 64, "layers": 2},
}
RUNS = {family: {"optimizer": "adamw"} for family in SHAPES} | {"thor, muon": {"optimizer": "muon", "ema_decay": 0.9}}
TRAINING = {
    "epochs": 1.0,
    "batch_size": 2,
    "gradient_accumulation": 2,
    "sequence_length": 64,
    "max_steps": 8,
    "learning_rate": 3e-3,
    "validate_every": 4,
    "seed": 7,
}


def losses(run: str) -> list[float]:
    """Training losses of a run of `RUNS`, in float32 on one thread of the CPU, on bytes that are counted, not found."""

    class Collect(Silent):
        def stepped(self, figures: Figures) -> None:
            found.append(round(figures.loss, 6))

        def validated(self, step: int, loss: float, best: bool) -> None:
            found.append(round(loss, 6))

    found: list[float] = []
    torch.set_num_threads(1)
    settings = Recipe.model_validate(TRAINING | RUNS[run])
    family = run.split(",")[0]
    model = registry.build(ModelSettings(family=family, preset="tiny", **SHAPES[family]), 264, seed=1)
    texts = [[8 + (number * number + 3 * at) % 97 for at in range(20 + 7 * number)] for number in range(12)]
    documents = [Encoded(np.array(text, np.int32), np.arange(len(text)) > number) for number, text in enumerate(texts)]
    with tempfile.TemporaryDirectory() as folder:
        rows = Rows(shard.write(Path(folder) / "train", documents[:10]), settings.sequence_length)
        held = Rows(shard.write(Path(folder) / "held", documents[10:]), settings.sequence_length)
        with Checkpoints(Path(folder) / "checkpoints", 2) as checkpoints:
            placement = Placement(torch.device("cpu"), torch.float32)
            Loop(model, MaskedCrossEntropy(), rows, held, settings, placement, checkpoints, Collect()).run()
    return found


if __name__ == "__main__":
    print(json.dumps({run: losses(run) for run in RUNS}, indent=2))

"""A run over conversations, in each step of which another number of tokens is learned, takes no more memory later."""

import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[4]
RUN = """
import re, tempfile
from pathlib import Path
import numpy as np, torch
from engine import memory
memory.keep_freed_memory()
from engine.config.model import ModelSettings
from engine.data import shard
from engine.data.batches import Rows
from engine import device
from engine.models import registry
from engine.data.encoded import Encoded
from engine.training.checkpoint import Checkpoints
from engine.training.loop import Loop
from engine.training.objectives.language import MaskedCrossEntropy
from engine.training.recipe import Recipe
from engine.training.reporting.reporter import Silent

class Peaks(Silent):
    def stepped(self, figures):
        if figures.step in (5, 60):
            print(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])

torch.set_num_threads(1)
draws = np.random.default_rng(0)
lengths = np.exp(draws.normal(5.0, 0.9, 1500)).clip(8, 256).astype(int)
documents = (Encoded(draws.integers(8, 8192, n).astype(np.int32), np.arange(n) >= n * draws.random()) for n in lengths)
settings = Recipe(
    epochs=1.0, max_steps=60, batch_size=8, gradient_accumulation=1, sequence_length=256, early_stopping_patience=0,
    inspect_every=0, validate_every=1000, checkpoint_every=1000, learning_rate=3e-4,
)
shape = dict(hidden=64, layers=1, heads=4, kv_heads=2, feed_forward=128, context=256)
model = registry.build(ModelSettings(preset="tiny", **shape), 8192, 0)
with tempfile.TemporaryDirectory() as name, Checkpoints(Path(name) / "checkpoints", 2) as checkpoints:
    rows = Rows(shard.write(Path(name) / "rows", documents), 256)
    placement = device.resolve("cpu", "auto")  # bf16 where that is not a hundred times as slow
    Loop(model, MaskedCrossEntropy(), rows, None, settings, placement, checkpoints, Peaks()).run()
"""


def test_the_heap_does_not_grow_with_the_steps() -> None:
    command = [sys.executable, "-c", RUN]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=REPOSITORY)
    early, late = map(int, done.stdout.split())
    assert late < 1.15 * early

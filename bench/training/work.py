"""The work that every contestant does: the same weights, the same tokens in the same order, the same optimizer.

A folder with ``model/`` (weights and ``config.json`` as Hugging Face has them), ``packed/`` and ``ragged/`` (shards as
`engine.data.shard` has them) and ``packed.npy`` (the rows of the packed shard in the order in which our loop takes
them).
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.torch import save_file

from engine import model_files
from engine.config.model import ModelSettings
from engine.data import shard
from engine.data.batches import Rows
from engine.data.encoded import Encoded
from engine.huggingface import model_config
from engine.models import registry
from engine.training.recipe import Recipe

WARM_UP = 3
"""Steps before the clock runs; their losses are compared."""
SEED = 1
MEAN_TOKENS, SPREAD = 80, 0.6
"""Of a conversation: the mean of its length, and the deviation of the length's logarithm."""
LEARNED_SHARE = 0.6
"""Of a conversation, what the assistant says."""
EPSILON = 1e-8
CHECKED_RATE = 3e-4
"""At which the first losses are compared in float32."""


@dataclass(frozen=True)
class Size:
    """A model and the batches it is trained on.

    Attributes:
        learning_rate: of the timed steps, in bf16: small where a step of AdamW would make of rounding errors a
            difference of losses. In float32 all sizes are checked at `CHECKED_RATE`.
    """

    model: ModelSettings
    vocabulary: int
    length: int = 256
    batch_size: int = 8
    learning_rate: float = CHECKED_RATE


def thor(preset: str, **shape: object) -> ModelSettings:
    return ModelSettings.model_validate({"family": "thor", "preset": preset, **shape})


SIZES = {
    "llama-14m": Size(thor("small", kv_heads=6, context=256), 8192),
    "gpt2-124m": Size(ModelSettings(family="gpt2", preset="124m"), 50257, learning_rate=1e-5),
    "base": Size(thor("base", context=1024), 16384, length=1024),
    "tiny": Size(thor("tiny", hidden=64, heads=4, kv_heads=4, layers=2, feed_forward=128, context=64), 512, 64, 4),
}
"""Goals are set for ``llama-14m`` and ``gpt2-124m``; ``base`` is for a GPU, ``tiny`` for the tests."""


def training(size: Size, steps: int) -> Recipe:
    """Settings of our loop; the peers take theirs from here."""
    return Recipe(
        epochs=1.0,
        batch_size=size.batch_size,
        gradient_accumulation=1,
        sequence_length=size.length,
        max_steps=steps,
        learning_rate=size.learning_rate,
        schedule="constant",
        warmup_share=0.0,
        seed=SEED,
        early_stopping_patience=0,
        validate_every=10**9,
        checkpoint_every=10**9,
    )


def write(folder: Path, size: Size, steps: int) -> None:
    """Make the folder, with enough of everything for ``steps`` steps."""
    _write_model(folder / "model", size)
    generator = np.random.default_rng(SEED)
    count = steps * size.batch_size
    rows = [_document(generator, size.length, size.vocabulary, 0.0) for _ in range(count)]
    settings = training(size, steps)
    packed = Rows(shard.write(folder / "packed", rows), size.length)
    assert len(packed) == count
    batches = [packed.of_step(step, SEED, settings.batch_size, settings.batch_size)[0] for step in range(steps)]
    last = size.length - 1  # a row of n tokens predicts n - 1
    whole = [np.hstack([batch.tokens_BT[:, :last], batch.targets_BT[:, last - 1 : last]]) for batch in batches]
    np.save(folder / "packed.npy", np.concatenate(whole).astype(np.int64))
    log_mean = np.log(MEAN_TOKENS * size.length / 256) - SPREAD**2 / 2
    sizes = np.exp(generator.normal(log_mean, SPREAD, size=4 * count)).round().clip(8, size.length + 1)
    ragged = (_document(generator, int(tokens), size.vocabulary, 1 - LEARNED_SHARE) for tokens in sizes)
    shard.write(folder / "ragged", ragged)


def _document(generator: np.random.Generator, tokens: int, vocabulary: int, context: float) -> Encoded:
    """Tokens as unevenly frequent as words are; the first part of them is context only."""
    ids = (generator.zipf(1.2, size=tokens) % vocabulary).astype(np.int32)
    first = max(1, int(context * tokens))
    return Encoded(ids, np.arange(tokens) >= first)


def _write_model(folder: Path, size: Size) -> None:
    folder.mkdir(parents=True)
    config, _ = model_config.write(size.model, size.vocabulary, "none")
    no_dropout = dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.0)
    (folder / model_files.CONFIG).write_text(json.dumps(config | no_dropout | {"dtype": "float32", "use_cache": False}))
    model = registry.build(size.model, size.vocabulary, SEED)
    save_file(registry.module(model).state_dict(), folder / model_files.SINGLE, metadata={"format": "pt"})


def read(folder: Path, data: str) -> shard.Shard:
    """``packed`` or ``ragged``."""
    return shard.read(folder / data)

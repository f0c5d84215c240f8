"""Learning an adapter beside PEFT and transformers.Trainer: tokens a second and peak memory on the same work.

    python bench/bench_lora.py [--dtype float32] [--ragged] [--rows 2] [--steps 6]
    python bench/bench_lora.py --shape 1.1b --quantization int8 --side thord

A Llama of SmolLM2-135M's shape (with ``--shape 1.1b`` of TinyLlama's) with weights at random, rows of 256 tokens, an
adapter of rank 16 for all linear maps; with ``--quantization`` thord's beside a base in 8 or 4 bits.
Each contestant is a process of its own, one after the other, and is timed by the median of its steps after two that
warm up. Packed rows are full; with ``--ragged`` conversations of about eighty tokens are packed by thord and padded by
Trainer, and only their tokens count.
"""

import argparse
import importlib.util
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import processor
import torch

from engine import memory, model_files

LENGTH, VOCABULARY, WARM_UP, MEAN_TOKENS = 256, 49_152, 2, 80
SHAPES = {
    "135m": {
        "hidden_size": 576,
        "intermediate_size": 1536,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "vocab_size": VOCABULARY,
        "max_position_embeddings": 2048,
        "tie_word_embeddings": True,
    },
    "1.1b": {
        "hidden_size": 2048,
        "intermediate_size": 5632,
        "num_hidden_layers": 22,
        "num_attention_heads": 32,
        "num_key_value_heads": 4,
        "vocab_size": VOCABULARY,
        "max_position_embeddings": 2048,
        "tie_word_embeddings": True,
    },
}


def documents(count: int, *, ragged: bool) -> list[np.ndarray]:
    """Tokens of each, one more than are learned."""
    draws = np.random.default_rng(1)
    sizes = np.full(count, LENGTH)
    if ragged:
        sizes = np.exp(draws.normal(np.log(MEAN_TOKENS), 0.6, count)).clip(8, LENGTH).astype(int)
    return [(draws.zipf(1.2, size + 1) % VOCABULARY).astype(np.int32) for size in sizes]


def ours(folder: Path, options: argparse.Namespace) -> list[float]:
    """Tokens a second of each step of the loop, as the trainer runs it."""
    from engine.adapters import adapter as adapters
    from engine.adapters.config import AdapterConfig
    from engine.adapters.network import FrozenBase
    from engine.config.training import TrainingSettings
    from engine.data import shard
    from engine.data.batches import Rows
    from engine.data.encoded import Encoded
    from engine.device import Placement
    from engine.huggingface import model_config
    from engine.models import registry
    from engine.stored_weights import OneByOne
    from engine.training import recipe
    from engine.training.checkpoint import Checkpoints
    from engine.training.loop import Loop
    from engine.training.objectives.language import MaskedCrossEntropy
    from engine.training.reporting.reporter import Figures, Silent

    class Unsaved(Checkpoints):
        def save(self, *_: object) -> None:
            pass

    class Clock(Silent):
        def stepped(self, figures: Figures) -> None:
            times.append((time.perf_counter(), figures.tokens))

    memory.keep_freed_memory()
    dtype = getattr(torch, options.dtype)
    shape = model_config.read(folder).settings
    model = registry.skeleton(shape, VOCABULARY)
    found = OneByOne(folder / model_files.SINGLE)
    adapter = adapters.new(model, AdapterConfig(rank=16, alpha=32.0), seed=0)
    FrozenBase(model, found, adapter.maps, torch.device("cpu"), dtype, options.quantization).under(model, adapter)
    settings = TrainingSettings(
        method="lora", batch_size=options.rows, gradient_accumulation=1, sequence_length=LENGTH,
        max_steps=WARM_UP + options.steps, learning_rate=1e-4, inspect_every=0, early_stopping_patience=0,
    )  # fmt: skip
    count = 8 * options.rows * (WARM_UP + options.steps)
    encoded = (Encoded(ids, np.arange(len(ids)) >= 1) for ids in documents(count, ragged=options.ragged))
    rows = Rows(shard.write(folder / "rows", encoded), LENGTH)
    times: list[tuple[float, int]] = [(time.perf_counter(), 0)]
    task = recipe.Task(start="imported", rows=len(rows), validated=False, parameters=1, method="lora")
    with Unsaved(folder / "checkpoints", keep=2) as checkpoints:
        placement = Placement(torch.device("cpu"), dtype)
        chosen = recipe.decide(task, settings)
        Loop(model, MaskedCrossEntropy(), rows, None, chosen, placement, checkpoints, Clock()).run()
    return [(b - a) / (y - x) for (x, a), (y, b) in itertools.pairwise(times)]


def peft(folder: Path, options: argparse.Namespace) -> list[float]:
    """The same of Trainer's steps over PEFT's model, its base in the same dtype."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, Trainer, TrainerCallback, TrainingArguments

    class Clock(TrainerCallback):
        def on_step_begin(self, *_: object, **__: object) -> None:
            began.append(time.perf_counter())

        def on_step_end(self, *_: object, **__: object) -> None:
            ended.append(time.perf_counter())

    began: list[float] = []
    ended: list[float] = []
    whole = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, options.dtype))
    model = get_peft_model(whole, LoraConfig(r=16, lora_alpha=32, target_modules="all-linear"))
    steps = WARM_UP + options.steps
    texts = [
        torch.from_numpy(ids[:-1].astype(np.int64)) for ids in documents(options.rows * steps, ragged=options.ragged)
    ]

    def collate(batch: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
        longest = max(len(one["input_ids"]) for one in batch)
        ids = torch.zeros(len(batch), longest, dtype=torch.long)
        labels = torch.full_like(ids, -100)
        for row, one in enumerate(batch):
            ids[row, : len(one["input_ids"])] = labels[row, : len(one["input_ids"])] = one["input_ids"]
        return {"input_ids": ids, "labels": labels, "attention_mask": (labels >= 0).long()}

    arguments = TrainingArguments(
        output_dir=str(folder / "trainer"), max_steps=steps, per_device_train_batch_size=options.rows,
        learning_rate=1e-4, bf16=options.dtype == "bfloat16", use_cpu=True, report_to=[], save_strategy="no",
        logging_strategy="no", dataloader_pin_memory=False, remove_unused_columns=False, disable_tqdm=True,
    )  # fmt: skip
    data = [{"input_ids": ids} for ids in texts]
    trainer = Trainer(model, arguments, train_dataset=data, data_collator=collate, callbacks=[Clock()])
    trainer._get_train_sampler = lambda *_: torch.utils.data.SequentialSampler(data)
    trainer.train()
    tokens = [sum(len(ids) for ids in texts[at : at + options.rows]) for at in range(0, len(texts), options.rows)]
    return [count / (end - begin) for count, begin, end in zip(tokens, began, ended, strict=True)]


SIDES = {"thord": ours, "PEFT": peft}


def main() -> None:
    """Print a line for each side, as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dtype", choices=("bfloat16", "float32"), default="bfloat16")
    parser.add_argument("--rows", type=int, default=2)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--ragged", action="store_true")
    parser.add_argument("--shape", choices=tuple(SHAPES), default="135m")
    parser.add_argument("--quantization", choices=("none", "int8", "int4"), default="none", help="of thord's base")
    parser.add_argument("--side", choices=tuple(SIDES), help="one of them only")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    processor.require_kernels()
    if options.folder:
        torch.set_num_threads(len(os.sched_getaffinity(0)))
        rates = SIDES[options.side](options.folder, options)
        print(json.dumps({"rates": rates[WARM_UP:], "peak": memory.peak_bytes()}))
        return
    sides = [options.side] if options.side else list(SIDES)
    if "PEFT" in sides and importlib.util.find_spec("peft") is None:
        raise SystemExit("PEFT is missing: pip install --no-deps 'peft==0.21.*'")
    with tempfile.TemporaryDirectory() as name:
        _write_model(Path(name), options.shape)
        print("| | tokens/s | peak MB |\n|---|---|---|")
        for side in sides:
            command = [sys.executable, __file__, *sys.argv[1:], "--side", side, "--folder", name]
            told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            found = json.loads(told.splitlines()[-1])
            print(f"| {side} | {statistics.median(found['rates']):.0f} | {found['peak'] / 1e6:.0f} |", flush=True)


def _write_model(folder: Path, shape: str) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    LlamaForCausalLM(LlamaConfig(**SHAPES[shape])).save_pretrained(folder)
    torch.set_default_dtype(torch.float32)


if __name__ == "__main__":
    main()

"""One set of random weights in three forms: a version of thord, a Hugging Face folder, a GGUF file.

The tokenizer has bytes and made-up words. Prompts are token ids.
"""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch

from engine import version
from engine.config.model import ModelSettings
from engine.huggingface import exporting
from engine.manifest import Lineage
from engine.models import registry
from engine.tokenizers.base import BOS, EOS, PAD
from engine.tokenizers.bytes import ByteTokenizer
from engine.tokenizers.huggingface import ChatFormat, HuggingFaceTokenizer

Prompts = Sequence[Sequence[int]]
"""Token ids of each."""


class Answers(NamedTuple):
    """Token ids of each, and when all had their first one, by ``time.perf_counter``; null where that is not known."""

    tokens: list[list[int]]
    first: float | None


@dataclass(frozen=True)
class Shape:
    """What is measured: a model, how many ids it has, and how long prompts and answers are."""

    settings: ModelSettings
    vocabulary: int
    prompt: int
    answer: int


SHAPES = {
    "gpt2-124m": Shape(ModelSettings(family="gpt2", preset="124m"), 50257, 64, 64),
    "llama-14m": Shape(
        ModelSettings(hidden=384, layers=6, heads=6, kv_heads=2, feed_forward=1024, context=1024), 8192, 64, 64
    ),
    "smollm2-135m": Shape(
        ModelSettings(hidden=576, layers=30, heads=9, kv_heads=3, feed_forward=1536, context=2048), 49152, 64, 64
    ),
    "llama-1.1b": Shape(ModelSettings(preset="atlas-1.1b"), 32000, 64, 64),
    "tiny": Shape(ModelSettings(family="gpt2", preset="tiny", layers=2), 400, 12, 8),
    "tiny-llama": Shape(ModelSettings(preset="tiny", layers=2), 400, 12, 8),
}


@dataclass(frozen=True)
class Weights:
    """Where the same weights lie."""

    version: Path


def make(folder: Path, shape: Shape, dtype: torch.dtype) -> Weights:
    """Draw weights and write them, once. Layers are strong, so that answers do not just repeat their last token."""
    made = Weights(folder / "models/versions/000001")
    if made.version.exists():
        return made
    model = registry.module(registry.build(shape.settings, shape.vocabulary, seed=0))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.mul_(3.0 if ".h." in name or ("layers." in name and weight.ndim > 1) else 1.0)
    weights = {name: weight.to(dtype) for name, weight in model.state_dict().items()}
    plain = ByteTokenizer()
    names = {token: plain.special(token) for token in (BOS, EOS, PAD)}
    folder.mkdir(parents=True, exist_ok=True)
    plain.save(folder)
    source = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    words = source["model"]["vocab"]  # every id is some text, so that every token is streamed
    words |= {f"w{number}": number for number in range(len(words), shape.vocabulary)}
    chat = ChatFormat(
        vocabulary=shape.vocabulary,
        opening=(),
        eos=names[EOS],
        end=names[EOS],
        pad=names[PAD],
        template=None,
        tokens={},
    )
    tokenizer = HuggingFaceTokenizer(json.dumps(source), chat)
    version.publish(made.version, weights, shape.settings, tokenizer, Lineage(1, None, None, "", 0, {}, 0.0, {}))
    return made


def hugging_face(weights: Weights) -> Path:
    """The folder that transformers and an import read, written at the first call."""
    folder = weights.version.parents[2] / "hf"
    if not folder.exists():
        exporting.write(weights.version, folder)
    return folder


def draw(draws: random.Random, shape: Shape, count: int, length: int) -> list[list[int]]:
    """Prompts of one length. Each is answered once: thord keeps what it read, and would not read it again."""
    return [[draws.randrange(8, shape.vocabulary) for _ in range(length)] for _ in range(count)]

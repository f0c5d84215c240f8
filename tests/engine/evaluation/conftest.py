"""A small tokenizer and a small model, made on the spot."""

import pytest

from engine.config import ModelSettings
from engine.models import registry
from engine.models.base import LanguageModel
from engine.tokenizers import bpe
from engine.tokenizers.base import Tokenizer

TEXTS = [
    f"The {a} {b} was seen {c} times, éà ünd 日本."
    for a in ("red", "green")
    for b in "fox owl".split()
    for c in range(20)
]


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    return bpe.train(TEXTS, vocabulary=330, sample_bytes=1 << 20)


@pytest.fixture(scope="session")
def model_settings() -> ModelSettings:
    return ModelSettings(hidden=32, layers=2, heads=4, kv_heads=2, feed_forward=64, context=96)


@pytest.fixture(scope="session")
def model(tokenizer: Tokenizer, model_settings: ModelSettings) -> LanguageModel:
    """Weights large enough that its opinions differ from token to token."""
    model = registry.build(model_settings, tokenizer.vocabulary, seed=3)
    for weight in model.parameters():
        weight.requires_grad_(requires_grad=False)
        if weight.ndim > 1:
            weight *= 8
    registry.module(model).eval()
    return model

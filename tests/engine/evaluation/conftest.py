"""A small tokenizer and small models, made on the spot."""

from collections.abc import Callable, Sequence

import pytest
import torch
import torch.nn.functional as F
from transformers import LlamaConfig, LlamaForCausalLM

from engine.config.model import ModelSettings
from engine.data.samples import Conversation, Dialogue, Message
from engine.models import registry
from engine.models.base import LanguageModel
from engine.tokenizers import bpe
from engine.tokenizers.base import Tokenizer
from engine.tokenizers.encode import encode_conversations

BEASTS, COLOURS = ("fox", "owl", "cat", "hen", "bee"), ("red", "green", "blue", "grey")


def make_dialogues(start: int, count: int) -> list[Conversation]:
    """Different ones that follow one simple rule, so that a small model learns it in seconds."""
    made = []
    for number in range(start, start + count):
        beast, colour = BEASTS[number % 5], COLOURS[number % 4]
        question = Message("user", f"What of {colour} {beast} number {number}?")
        made.append(Dialogue(messages=(question, Message("assistant", f"The {colour} {beast} was seen."))))
    return made


@pytest.fixture(scope="session")
def dialogues() -> Callable[[int, int], list[Conversation]]:
    """``dialogues(start, count)``; `model` has seen the first 200."""
    return make_dialogues


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    texts = [message.content for conversation in make_dialogues(0, 100) for message in conversation.messages]
    return bpe.train(texts, vocabulary=330, sample_bytes=1 << 20)


@pytest.fixture(scope="session")
def model_settings() -> ModelSettings:
    return ModelSettings(hidden=32, layers=2, heads=2, kv_heads=1, feed_forward=64, context=96)


@pytest.fixture(scope="session")
def untrained(tokenizer: Tokenizer, model_settings: ModelSettings) -> LanguageModel:
    model = registry.build(model_settings, tokenizer.vocabulary, seed=3)
    registry.module(model).eval().requires_grad_(requires_grad=False)
    return model


@pytest.fixture(scope="session")
def model(tokenizer: Tokenizer, model_settings: ModelSettings) -> LanguageModel:
    """Trained on 200 dialogues for a moment."""
    model = registry.build(model_settings, tokenizer.vocabulary, seed=3)
    train(model, tokenizer, make_dialogues(0, 200))
    registry.module(model).eval().requires_grad_(requires_grad=False)
    return model


def train(model: LanguageModel, tokenizer: Tokenizer, conversations: Sequence[Conversation], steps: int = 60) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    rows = list(encode_conversations(tokenizer, [(conversation, 0) for conversation in conversations]))
    for step in range(steps):
        batch = [rows[(step * 16 + offset) % len(rows)] for offset in range(16)]
        width = max(len(row.ids) for row in batch)
        ids = torch.tensor([row.ids.tolist() + [0] * (width - len(row.ids)) for row in batch])
        learned = torch.tensor([row.supervised.tolist() + [False] * (width - len(row.ids)) for row in batch])
        hidden = model.hidden(ids, torch.arange(width).expand_as(ids), torch.zeros_like(ids))
        loss = F.cross_entropy(model.logits(hidden[:, :-1][learned[:, 1:]]), ids[:, 1:][learned[:, 1:]])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@pytest.fixture(scope="session")
def llama(model: LanguageModel, model_settings: ModelSettings, tokenizer: Tokenizer) -> LlamaForCausalLM:
    """The weights of ``model`` in the reference implementation."""
    shape = model_settings.shape
    reference = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=tokenizer.vocabulary,
            hidden_size=shape.hidden,
            intermediate_size=shape.feed_forward,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            num_key_value_heads=shape.kv_heads,
            max_position_embeddings=shape.context,
            rms_norm_eps=model_settings.shape.norm_epsilon,
            rope_theta=model_settings.shape.rope_theta,
            tie_word_embeddings=True,
        )
    )
    reference.load_state_dict(registry.module(model).state_dict(), strict=False)
    reference.tie_weights()
    return reference.eval()

"""Conversations a second from text to ids on disk, beside datasets.map with the same tokenizer, one process each."""

import ast
import importlib.util
import logging
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import harness

from engine.config import TokenizerSettings
from engine.data import shard
from engine.data.conversation import Conversation, Message
from engine.tokenizers import chat
from engine.tokenizers import registry as tokenizers
from engine.tokenizers.chat import ROLE_TOKENS

_ROUNDS = 3
_WORDS = 14
"""Of a turn; two turns and what marks them are some 80 tokens."""


@dataclass(frozen=True)
class Rates:
    """Conversations a second, and how long one is."""

    ours: float
    theirs: float
    records: int
    tokens: float


def measure(vocabulary: int = 8192, most: int = 20_000) -> Rates | None:
    """Both do the same: their ids are compared. None where ``datasets`` is not installed."""
    if not importlib.util.find_spec("datasets") or not importlib.util.find_spec("transformers"):
        return None
    import datasets
    from transformers import PreTrainedTokenizerFast

    datasets.disable_progress_bars()
    logging.getLogger("datasets").setLevel(logging.ERROR)
    texts = list(_texts(most))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tokenizers.train(TokenizerSettings(vocabulary=vocabulary), texts[:2000]).save(folder)
        peer = PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))
        table = datasets.Dataset.from_dict({"user": texts[::2], "assistant": texts[1::2]})
        conversations = [
            Conversation(messages=(Message("user", user), Message("assistant", assistant)))
            for user, assistant in zip(texts[::2], texts[1::2], strict=True)
        ]
        end = "<|end|>"

        def encoded(batch: dict[str, list[str]]) -> dict[str, list[list[int]]]:
            whole = [
                f"{ROLE_TOKENS['user']}{user}{end}{ROLE_TOKENS['assistant']}{assistant}{end}"
                for user, assistant in zip(batch["user"], batch["assistant"], strict=True)
            ]
            return {"input_ids": peer(whole)["input_ids"]}

        written = 0

        def ours() -> None:
            nonlocal written
            written += 1
            tokenizer = tokenizers.load("bpe", folder)  # remembers nothing yet
            shard.write(folder / str(written), (chat.encode_conversation(tokenizer, each) for each in conversations))

        def theirs() -> datasets.Dataset:
            return table.map(encoded, batched=True, load_from_cache_file=False, remove_columns=table.column_names)

        mine, others = harness.interleaved(_ROUNDS, ours, theirs)
        found = shard.read(folder / "1")
        same = [number for row in theirs()["input_ids"] for number in row]
        if found.ids.tolist() != same:
            raise SystemExit("our ids and those of datasets.map differ: this is not the same work")
        count = len(conversations)
        return Rates(count / harness.median(mine), count / harness.median(others), count, len(found.ids) / count)


def _texts(most: int) -> Iterator[str]:
    """Runs of words from what Python's own library says of itself, an even number of them."""
    files = sorted(Path(os.__file__).parent.glob("*.py"))
    words = [word for file in files for word in _documentation(file).split()]
    for number in range(min(most, len(words) // _WORDS // 2) * 2):
        yield " ".join(words[number * _WORDS : (number + 1) * _WORDS])


def _documentation(file: Path) -> str:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return "\n".join(ast.get_docstring(node) or "" for node in ast.walk(tree) if isinstance(node, kinds))

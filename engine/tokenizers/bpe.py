"""Byte-level BPE: any text in, the same text out, merges learned by Hugging Face ``tokenizers``.

Ids 0 to 7 are the special tokens; the 256 bytes and the merges follow. Training depends on the text and the size only.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from tokenizers import models, pre_tokenizers, trainers

from engine.tokenizers.base import SPECIAL_TOKENS
from engine.tokenizers.builtin import BuiltinTokenizer, first, read
from engine.tokenizers.byte_level import byte_level, bytes_by_character
from engine.tokenizers.words import Words


def train(texts: Iterable[str], vocabulary: int, sample_bytes: int) -> BuiltinTokenizer:
    """Learn merges from the first ``sample_bytes`` of the texts; a small sample gives a smaller vocabulary."""
    inner = byte_level(models.BPE())
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    inner.train_from_iterator(first(texts, sample_bytes), trainer)
    known = inner.get_vocab()
    return BpeTokenizer(inner.to_str(pretty=True), _table(sorted(known, key=known.__getitem__)))


def load(folder: Path) -> BuiltinTokenizer:
    """Read ``tokenizer.json``.

    Raises:
        ArtifactError: it is missing, damaged, or no tokenizer of thord's.
    """
    return read(folder, _table, BpeTokenizer)


class BpeTokenizer(BuiltinTokenizer):
    """Implements `engine.tokenizers.base.Tokenizer`, by words that it remembers."""

    def __init__(self, source: str, table: Sequence[bytes]) -> None:
        super().__init__("bpe", source, table)
        self._words = Words(self._inner)

    def packed(self, texts: Sequence[str]) -> list[bytes]:
        """As in the base class."""
        return self._words.encode_batch(texts)


def _table(pieces: Sequence[str]) -> list[bytes]:
    byte_of = bytes_by_character()
    return [b"" if piece in SPECIAL_TOKENS else bytes(byte_of[character] for character in piece) for piece in pieces]

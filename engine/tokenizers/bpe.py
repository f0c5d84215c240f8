"""Byte-level BPE: any text in, the same text out, merges learned by Hugging Face ``tokenizers``.

Ids 0 to 7 are the special tokens; the 256 bytes and the merges follow. Training depends on the text and the size only.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

from engine.tokenizers.base import SPECIAL_TOKENS
from engine.tokenizers.own import BYTES, OwnTokenizer, beginning_with_bos, first, read


def train(texts: Iterable[str], vocabulary: int, sample_bytes: int) -> OwnTokenizer:
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
    return OwnTokenizer("bpe", inner.to_str(pretty=True), _table(sorted(known, key=known.__getitem__)))


def load(folder: Path) -> OwnTokenizer:
    """Read ``tokenizer.json``.

    Raises:
        ArtifactError: it is missing, damaged, or no tokenizer of thord's.
    """
    return read("bpe", folder, _table)


def byte_level(model: models.Model) -> tokenizers.Tokenizer:
    """A tokenizer over bytes written as characters, cut into words as GPT-2 does."""
    inner = tokenizers.Tokenizer(model)
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    inner.post_processor = beginning_with_bos()
    return inner


def bytes_by_character() -> dict[str, int]:
    """Byte-level BPE writes each byte as a printable character: itself where it is one, else from U+0100 on (GPT-2)."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(BYTES) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(BYTES + n): byte for n, byte in enumerate(others)}


def _table(pieces: Sequence[str]) -> list[bytes]:
    byte_of = bytes_by_character()
    return [b"" if piece in SPECIAL_TOKENS else bytes(byte_of[character] for character in piece) for piece in pieces]

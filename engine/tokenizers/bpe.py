"""Byte-level BPE: any text in, the same text out, merges learned by Hugging Face ``tokenizers``.

Ids 0 to 7 are `SPECIAL_TOKENS`; the 256 bytes and the merges follow. Training depends on the text and the size only.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

from engine.artifacts import ArtifactError
from engine.tokenizers.base import SPECIAL_TOKENS

FILE = "tokenizer.json"
_BYTES = 256


class BpeTokenizer:
    """Implements `engine.tokenizers.base.Tokenizer`."""

    def __init__(self, inner: tokenizers.Tokenizer) -> None:
        inner.encode_special_tokens = True  # a text that spells a special token gets the ids of its bytes
        self._inner = inner
        self.vocabulary = inner.get_vocab_size()
        self._special = {token: number for number, token in enumerate(SPECIAL_TOKENS)}
        byte_of = _bytes_by_character()
        names = sorted(inner.get_vocab(), key=inner.get_vocab().__getitem__)
        self._bytes = [
            b"" if name in SPECIAL_TOKENS else bytes(byte_of[character] for character in name) for name in names
        ]

    def encode(self, text: str) -> list[int]:
        """Ids of the text; special tokens are never among them."""
        ids: list[int] = self._inner.encode(text, add_special_tokens=False).ids
        return ids

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """`encode` of many texts, on all processors."""
        return [encoding.ids for encoding in self._inner.encode_batch_fast(texts, add_special_tokens=False)]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ordinary ids; special ones are left out, broken UTF-8 becomes U+FFFD."""
        return self.decode_bytes(ids).decode("utf-8", errors="replace")

    def decode_bytes(self, ids: Sequence[int]) -> bytes:
        """The bytes of ordinary ids.

        Raises:
            IndexError: an id is not in the vocabulary.
        """
        return b"".join(self._bytes[number] for number in ids)

    def special(self, token: str) -> int:
        """The id of one of `SPECIAL_TOKENS`."""
        return self._special[token]

    def save(self, folder: Path) -> None:
        """Write ``tokenizer.json``."""
        (folder / FILE).write_text(self._inner.to_str(pretty=True), encoding="utf-8")


def train(texts: Iterable[str], vocabulary: int, sample_bytes: int) -> BpeTokenizer:
    """Learn merges from the first ``sample_bytes`` of the texts; a small sample gives a smaller vocabulary."""
    inner = tokenizers.Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    inner.train_from_iterator(_first(texts, sample_bytes), trainer)
    return BpeTokenizer(inner)


def load(folder: Path) -> BpeTokenizer:
    """Read ``tokenizer.json``.

    Raises:
        ArtifactError: it is missing, damaged, or no tokenizer of thord's.
    """
    file = folder / FILE
    try:
        inner = tokenizers.Tokenizer.from_str(file.read_text(encoding="utf-8"))
    except Exception as error:  # the library raises bare Exception for bad JSON
        raise ArtifactError(f"{file}: {error}") from error
    known = inner.get_vocab()
    if [known.get(token) for token in SPECIAL_TOKENS] != list(range(len(SPECIAL_TOKENS))):
        raise ArtifactError(f"{file}: the ids 0 to {len(SPECIAL_TOKENS) - 1} are not thord's special tokens")
    if len(known) < len(SPECIAL_TOKENS) + _BYTES or max(known.values()) != len(known) - 1:
        raise ArtifactError(f"{file}: the vocabulary lacks bytes or has gaps")
    try:
        return BpeTokenizer(inner)
    except KeyError as error:
        raise ArtifactError(f"{file}: the character {error} stands for no byte") from error


def _first(texts: Iterable[str], limit: int) -> Iterator[str]:
    """Texts until ``limit`` bytes are given; the last one is cut."""
    for text in texts:
        size = len(text.encode())
        if size >= limit:
            yield text.encode()[:limit].decode(errors="ignore")
            return
        limit -= size
        yield text


def _bytes_by_character() -> dict[str, int]:
    """Byte-level BPE writes each byte as a printable character: itself where it is one, else from U+0100 on (GPT-2)."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(_BYTES) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(_BYTES + n): byte for n, byte in enumerate(others)}

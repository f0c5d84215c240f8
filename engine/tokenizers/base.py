"""What a tokenizer is: one Protocol, and the special tokens that every one of them reserves."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

PAD, BOS, EOS = "<|pad|>", "<|bos|>", "<|eos|>"
SYSTEM, USER, ASSISTANT, TOOL, END = "<|system|>", "<|user|>", "<|assistant|>", "<|tool|>", "<|end|>"
SPECIAL_TOKENS = (PAD, BOS, EOS, SYSTEM, USER, ASSISTANT, TOOL, END)
"""In the order of their ids, 0 to 7. Text that happens to spell one is encoded as ordinary bytes."""


class Tokenizer(Protocol):
    """Text to ids and back. ``decode(encode(text)) == text`` for every text without lone surrogates."""

    vocabulary: int

    def encode(self, text: str) -> list[int]:
        """Ids of the text; special tokens are never among them."""
        ...

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """`encode` of many texts."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ordinary ids; special ones are left out, broken UTF-8 becomes U+FFFD."""
        ...

    def decode_bytes(self, ids: Sequence[int]) -> bytes:
        """The bytes of ordinary ids: what a stream of tokens needs, since a character may span several."""
        ...

    def special(self, token: str) -> int:
        """The id of one of `SPECIAL_TOKENS`."""
        ...

    def save(self, folder: Path) -> None:
        """Write ``tokenizer.json``."""
        ...

"""What byte-level tokenizers share: each byte is written as a character, and text is cut into words (GPT-2)."""

import tokenizers
from tokenizers import decoders, models, pre_tokenizers

from engine.tokenizers.builtin import BYTES, beginning_with_bos


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

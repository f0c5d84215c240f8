"""Bytes: ids 0 to 7 are the special tokens, then comes a token for each byte. There is nothing to learn."""

import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tokenizers import AddedToken, models

from engine.tokenizers.base import SPECIAL_TOKENS
from engine.tokenizers.builtin import BYTES, BuiltinTokenizer, read
from engine.tokenizers.byte_level import byte_level, bytes_by_character

FIRST = len(SPECIAL_TOKENS)
"""The id of byte 0."""


class ByteTokenizer(BuiltinTokenizer):
    """Implements `engine.tokenizers.base.Tokenizer`. Its ``tokenizer.json`` is a BPE without a merge."""

    def __init__(self) -> None:
        pieces = {token: number for number, token in enumerate(SPECIAL_TOKENS)}
        pieces |= {character: FIRST + byte for character, byte in bytes_by_character().items()}
        inner = byte_level(models.BPE(pieces, []))
        inner.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS])
        super().__init__("bytes", inner.to_str(pretty=True), [b""] * FIRST + [bytes([byte]) for byte in range(BYTES)])

    def packed(self, texts: Sequence[str]) -> list[bytes]:
        """As in the base class."""
        return [(np.frombuffer(text.encode(), np.uint8) + np.int32(FIRST)).tobytes() for text in texts]


def load(folder: Path) -> ByteTokenizer:
    """The tokenizer, once ``tokenizer.json`` is seen to be its own.

    Raises:
        ArtifactError: it is missing, damaged, or another.
    """

    def table_of(pieces: list[str]) -> list[bytes]:
        byte_of = bytes_by_character()
        table = [bytes([byte_of[piece]]) for piece in pieces[FIRST:]]
        if table != [bytes([byte]) for byte in range(BYTES)]:
            raise KeyError(pieces[-1])
        return [b""] * FIRST + table

    read(folder, table_of, functools.partial(BuiltinTokenizer, "bytes"))
    return ByteTokenizer()

"""Whatever a tokenizer makes of a text that fits, its tokens are allowed one after the other, and no others are."""

import json
from collections.abc import Callable

import numpy as np
import pytest

from engine.inference.constraints.cache import CompiledStructures
from engine.inference.constraints.structures import ChoiceStructure, JsonStructure
from engine.tokenizers import bpe, sentencepiece
from engine.tokenizers.base import END, EOS, Tokenizer
from engine.tokenizers.bytes import ByteTokenizer

TEXT = 'The quick brown fox jumps over the lazy dog: äöü 日本語 {"a": [1, 2], "ö": "日本"} \n' * 20
MAKERS: dict[str, Callable[[], Tokenizer]] = {
    "byte-level": lambda: bpe.train([TEXT], 400, 1 << 20),
    "unigram": lambda: sentencepiece.train([TEXT], 400, 1 << 20, "unigram"),
    "SentencePiece BPE": lambda: sentencepiece.train([TEXT], 400, 1 << 20, "bpe"),
    "bytes": ByteTokenizer,
}
SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "array", "items": {"type": "integer"}}, "ö": {"type": "string"}},
    "required": ["a", "ö"],
}


@pytest.mark.parametrize("kind", MAKERS)
def test_a_text_that_fits_is_allowed_token_by_token_and_then_ends(kind: str) -> None:
    tokenizer = MAKERS[kind]()
    matcher = CompiledStructures().compiled(JsonStructure(SCHEMA), tokenizer).matcher()
    for token in tokenizer.encode(json.dumps({"a": [1, 20], "ö": "日本 👍 fox"}, ensure_ascii=False)):
        assert matcher.allowed()[token], tokenizer.decode([token])
        matcher.consume(token)
    assert set(np.flatnonzero(matcher.allowed())) == {tokenizer.special(EOS), tokenizer.special(END)}


@pytest.mark.parametrize("kind", MAKERS)
def test_a_token_is_allowed_if_and_only_if_its_bytes_are(kind: str) -> None:
    """Several tokens may stand for the same bytes."""
    tokenizer = MAKERS[kind]()
    texts = ("1", "12", "日本", "日x")
    allowed = CompiledStructures().compiled(ChoiceStructure(texts), tokenizer).matcher().allowed()
    for token in range(tokenizer.vocabulary):
        data = tokenizer.decode_bytes([token])
        assert allowed[token] == (data != b"" and any(text.encode().startswith(data) for text in texts)), data

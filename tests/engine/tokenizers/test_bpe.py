"""Byte-level BPE: exact round trips, special tokens that no text can spell, deterministic training."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import models, pre_tokenizers

from engine.artifacts import ArtifactError
from engine.tokenizers import bpe, byte_level
from engine.tokenizers.base import SPECIAL_TOKENS

TEXT = (subprocess.__doc__ or "") + (subprocess.Popen.__doc__ or "") + (hashlib.__doc__ or "")
TOKENIZER = bpe.train([TEXT], 400, 1 << 20)
UNICODE = st.text(alphabet=st.characters(exclude_categories=("Cs",)))


@given(UNICODE | st.lists(st.sampled_from([*SPECIAL_TOKENS, " ", "a", "\u0000", "\ufeff", "e\u0301"])).map("".join))
def test_any_text_comes_back_and_is_never_special(text) -> None:
    ids = TOKENIZER.encode(text)
    assert TOKENIZER.decode(ids) == text
    assert TOKENIZER.decode_bytes(ids) == text.encode()
    assert all(number >= len(SPECIAL_TOKENS) for number in ids)


@given(st.lists(UNICODE, max_size=5))
def test_a_batch_equals_one_by_one(texts) -> None:
    assert [ids.tolist() for ids in TOKENIZER.encode_batch(texts)] == [TOKENIZER.encode(text) for text in texts]


def test_special_tokens_have_the_first_ids_and_decode_to_nothing() -> None:
    assert [TOKENIZER.special(token) for token in SPECIAL_TOKENS] == list(range(8))
    assert TOKENIZER.decode([1, *TOKENIZER.encode("so"), 7]) == "so"


def test_half_a_character_is_replaced_not_refused() -> None:
    ids = TOKENIZER.encode("é")
    assert TOKENIZER.decode(ids[:1]) == "\ufffd"
    assert TOKENIZER.decode_bytes(ids[:1]) == b"\xc3"


def test_every_byte_has_a_token() -> None:
    assert set(byte_level.bytes_by_character()) == set(pre_tokenizers.ByteLevel.alphabet())
    assert {TOKENIZER.decode_bytes([number]) for number in range(8, TOKENIZER.vocabulary)} >= {
        bytes([n]) for n in range(256)
    }


def test_frequent_words_become_single_tokens() -> None:
    assert TOKENIZER.vocabulary == 400
    assert len(TOKENIZER.encode(TEXT)) < len(TEXT) / 1.8


def test_a_small_sample_gives_a_small_vocabulary() -> None:
    assert bpe.train(["ab ab"], 8192, 1 << 20).vocabulary < 300
    assert bpe.train([], 8192, 1 << 20).vocabulary == 264


def test_only_the_sample_is_learned_from() -> None:
    assert "zzz" not in bpe.train([TEXT, "zzz" * 10_000], 500, len(TEXT))._inner.get_vocab()


def test_saved_and_loaded_it_is_the_same(tmp_path: Path) -> None:
    TOKENIZER.save(tmp_path)
    first = (tmp_path / "tokenizer.json").read_bytes()
    loaded = bpe.load(tmp_path)
    assert loaded.vocabulary == TOKENIZER.vocabulary
    assert loaded.encode(f"{TEXT}<|end|>") == TOKENIZER.encode(f"{TEXT}<|end|>")
    loaded.save(tmp_path)
    assert (tmp_path / "tokenizer.json").read_bytes() == first


def test_training_is_the_same_in_every_process(tmp_path: Path) -> None:
    program = (
        "import pathlib, sys, subprocess, hashlib; from engine.tokenizers import bpe\n"
        "bpe.train([subprocess.__doc__ + subprocess.Popen.__doc__ + hashlib.__doc__], 400, 1 << 20)"
        ".save(pathlib.Path(sys.argv[1]))"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True)
    theirs = (tmp_path / "tokenizer.json").read_bytes()
    TOKENIZER.save(tmp_path)
    assert (tmp_path / "tokenizer.json").read_bytes() == theirs


@pytest.mark.parametrize("content", ["", "{}", "[" * 10_000, '{"version": "1.0", "model": {"type": "BPE"}}', "\udcff"])
def test_a_damaged_file_is_an_artifact_error(tmp_path: Path, content) -> None:
    (tmp_path / "tokenizer.json").write_text(content, errors="surrogateescape")
    with pytest.raises(ArtifactError, match="tokenizer"):
        bpe.load(tmp_path)


def test_a_foreign_tokenizer_is_refused(tmp_path: Path) -> None:
    foreign = tokenizers.Tokenizer(models.BPE({"a": 0, "b": 1}, []))
    (tmp_path / "tokenizer.json").write_text(foreign.to_str())
    with pytest.raises(ArtifactError, match="special tokens"):
        bpe.load(tmp_path)


def test_a_missing_file_is_an_artifact_error(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="tokenizer"):
        bpe.load(tmp_path)

"""Similarity, beside a loop over tokens that is written from the paper, and by an encoder of our own making."""

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
from transformers import BertConfig, BertModel, BertTokenizerFast

from engine.evaluation.predictions.measure import UnmeasurableError
from engine.evaluation.predictions.report import compare
from engine.evaluation.predictions.similarity import match

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cat", "dog", "sat", "slept")


def by_hand(ours: list[list[float]], theirs: list[list[float]]) -> tuple[float, float, float]:
    def cosine(a: list[float], b: list[float]) -> float:
        product = sum(x * y for x, y in zip(a, b, strict=True))
        return product / math.sqrt(sum(x * x for x in a)) / math.sqrt(sum(y * y for y in b))

    precision = sum(max(cosine(a, b) for b in theirs) for a in ours) / len(ours)
    recall = sum(max(cosine(a, b) for a in ours) for b in theirs) / len(theirs)
    return precision, recall, 2 * precision * recall / (precision + recall)


def test_matching_is_that_of_the_paper() -> None:
    rng = np.random.default_rng(0)
    for tokens, others in itertools.product((1, 3, 7), repeat=2):
        ours, theirs = (rng.normal(0.4, 1, (count, 5)).astype(np.float32) for count in (tokens, others))
        assert match(ours, theirs) == pytest.approx(by_hand(ours.tolist(), theirs.tolist()), abs=1e-5)
    assert match(ours, ours) == pytest.approx((1, 1, 1))
    assert match(ours[:0], theirs) == (0, 0, 0)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("encoder")
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
    BertModel(BertConfig(vocab_size=len(WORDS), max_position_embeddings=16, **sizes)).save_pretrained(folder)
    return folder


def test_a_file_is_measured_by_a_local_encoder(tmp_path: Path, encoder: Path) -> None:
    said, expected = tmp_path / "said.txt", tmp_path / "expected.txt"
    said.write_text("the cat sat\nthe dog slept\n")
    expected.write_text("the cat sat\nthe cat sat\n")
    [(name, score)] = compare(said, expected, ["similarity"], encoder=encoder).scores.items()
    assert name == "similarity"
    assert 0.3 < score.value < 1
    assert score.signature.startswith("encoder:")
    assert set(score.parts) == {"precision", "recall"}
    same = compare(said, said, encoder=encoder).scores
    assert same["similarity"].value == pytest.approx(1, abs=1e-5)
    assert "chrf" in same


def test_special_tokens_and_padding_do_not_count(tmp_path: Path, encoder: Path) -> None:
    """A short text beside a long one of the batch is what it is alone."""
    said, expected = tmp_path / "said.jsonl", tmp_path / "expected.jsonl"

    def score(pairs: list[tuple[str, str]]) -> float:
        for file, place in ((said, 0), (expected, 1)):
            file.write_text("".join(json.dumps(pair[place]) + "\n" for pair in pairs))
        return compare(said, expected, ["similarity"], encoder=encoder).scores["similarity"].value

    long = ("the cat sat the cat sat the dog", "the dog slept the dog slept")
    assert score([("cat", "dog"), long]) == pytest.approx((score([("cat", "dog")]) + score([long])) / 2, abs=1e-5)


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("text\n")
    with pytest.raises(UnmeasurableError, match="--encoder"):
        compare(tmp_path / "a.txt", tmp_path / "a.txt", ["similarity"])
    with pytest.raises(UnmeasurableError, match=r"has no model\.safetensors"):
        compare(tmp_path / "a.txt", tmp_path / "a.txt", encoder=tmp_path)

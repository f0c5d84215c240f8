"""BLEU, chrF and TER: the values that sacrebleu 2.6.0 gave, and which way texts are cut."""

import pytest

from engine.evaluation.predictions.measure import UnmeasurableError
from engine.evaluation.predictions.pairs import TextPair
from engine.evaluation.predictions.registry import TEXT_MEASURES

CAT = [TextPair("The cat sat on the mat.", ("The cat is on the mat.",))]


@pytest.mark.parametrize(("name", "value"), [("bleu", 48.8923), ("chrf", 67.17), ("chrf++", 69.44)])
def test_a_value_is_sacrebleus_with_its_signature(name: str, value: float) -> None:
    found = TEXT_MEASURES[name].score(CAT)
    assert found.value == pytest.approx(value, abs=0.005)
    assert found.signature.startswith("nrefs:1|case:mixed|eff:")
    assert "version:" in found.signature


def test_references_go_with_their_own_sentence_and_may_be_of_different_number() -> None:
    pairs = [
        TextPair("It is warm today.", ("It is warm today.", "Today is warm.")),
        TextPair("Go home now, please!", ("Stay.",)),
    ]
    mixed = TEXT_MEASURES["bleu"].score(pairs)
    assert "nrefs:var" in mixed.signature
    assert mixed.value < 80 < TEXT_MEASURES["bleu"].score(pairs[:1]).value


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("Good morning", "13a"),
        ("Доброе утро", "13a"),
        ("안녕하세요 여러분", "13a"),
        ("今天天气很好", "zh"),
        ("今日は天気がいいです。", "char"),
        ("วันนี้อากาศดี", "char"),
    ],
)
def test_words_are_cut_as_the_script_asks(text: str, cut: str) -> None:
    found = TEXT_MEASURES["bleu"].score([TextPair(text, (text,))])
    assert f"|tok:{cut}|" in found.signature


def test_chinese_is_not_one_word() -> None:
    close = [TextPair("我们今天去公园散步吧", ("我们今天去公园跑步吧",))]
    assert TEXT_MEASURES["bleu"].score(close).value > 40


def test_a_pair_without_reference_is_named() -> None:
    with pytest.raises(UnmeasurableError, match=r"bleu needs a reference .* number 2 has none"):
        TEXT_MEASURES["bleu"].score([*CAT, TextPair("x", ())])

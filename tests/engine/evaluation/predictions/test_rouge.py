"""ROUGE, against values that rouge-score 0.1.2 gave."""

import pytest

from engine.evaluation.predictions.measure import UnmeasurableError
from engine.evaluation.predictions.pairs import TextPair
from engine.evaluation.predictions.registry import TEXT_MEASURES
from engine.evaluation.predictions.rouge import rouge_l, rouge_lsum, rouge_n

REFERENCE = "The cat sat on the mat.\nA dog, well-fed and lazy, barked at the cat twice."
PREDICTION = "A lazy dog barked twice at the cat\nThe cat is on the mat, the old mat_2."

SCRIPTS = {
    "Russian": "Кошка сидела на коврике",
    "Greek": "γάτα κάθισε στο χαλί",
    "Arabic": "جلست القطة على السجادة",
    "Hindi": "बिल्ली चटाई पर बैठी",
    "Tamil": "பூனை பாயில் அமர்ந்தது",
    "Chinese": "猫坐在垫子上",
    "Japanese": "猫はマットの上に座った",
    "Thai": "แมวนั่งบนเสื่อ",
    "Khmer": "ឆ្មាអង្គុយលើកន្ទេល",
    "Amharic": "ድመቷ ምንጣፉ ላይ ተቀመጠች",
    "Korean": "고양이가 매트 위에 앉았다",
    "French": "Le café était près de l'élève",
}


def test_it_equals_rouge_score() -> None:
    found = {
        "rouge1": rouge_n(PREDICTION, REFERENCE, 1),
        "rouge2": rouge_n(PREDICTION, REFERENCE, 2),
        "rougeL": rouge_l(PREDICTION, REFERENCE),
        "rougeLsum": rouge_lsum(PREDICTION, REFERENCE),
    }
    assert {name: (one.precision, one.recall, one.f) for name, one in found.items()} == {
        "rouge1": pytest.approx((0.7222222222222222, 0.7647058823529411, 0.7428571428571428)),
        "rouge2": pytest.approx((0.29411764705882354, 0.3125, 0.30303030303030304)),
        "rougeL": pytest.approx((0.3333333333333333, 0.35294117647058826, 0.34285714285714286)),
        "rougeLsum": pytest.approx((0.6111111111111112, 0.6470588235294118, 0.6285714285714287)),
    }


def test_sentences_are_lines() -> None:
    swapped = "Dogs bark loudly.\nCats sleep all day."
    assert rouge_lsum(swapped, "Cats sleep all day.\nDogs bark loudly.").f == 1
    assert rouge_lsum(swapped.replace("\n", " "), "Cats sleep all day. Dogs bark loudly.").f < 1


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_text_of_any_script_matches_itself_and_no_other(script: str) -> None:
    text = SCRIPTS[script]
    for overlap in (rouge_n(text, text, 1), rouge_n(text, text, 2), rouge_l(text, text), rouge_lsum(text, text)):
        assert overlap.f == 1
    for other in (other for name, other in SCRIPTS.items() if name != script):
        assert rouge_n(text, other, 1).f < 0.5


def test_an_accent_makes_another_word_however_it_is_encoded() -> None:
    assert rouge_n("caf", "café", 1).f == 0
    assert rouge_n("cafe\u0301", "caf\u00e9", 1).f == 1


def test_nothing_scores_nothing_and_the_best_reference_counts() -> None:
    assert rouge_n("", "a", 1).f == rouge_l("...", "!").f == rouge_lsum("", "").f == 0
    pairs = [TextPair("one two", ("three", "one two three", "one two"))]
    assert TEXT_MEASURES["rouge1"].score(pairs).value == 1
    with pytest.raises(UnmeasurableError, match="number 1 has none"):
        TEXT_MEASURES["rougeLsum"].score([TextPair("one", ())])

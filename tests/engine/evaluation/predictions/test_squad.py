"""SQuAD's exact match and F1, by the rules of its scripts 1.1 and 2.0."""

import pytest

from engine.evaluation.predictions.measure import UnmeasurableError
from engine.evaluation.predictions.pairs import TextPair
from engine.evaluation.predictions.registry import TEXT_MEASURES


def values(answer: str, *references: str) -> dict[str, float]:
    names = [name for name in TEXT_MEASURES if name.startswith("squad") and (references or "squad2" in name)]
    return {name: TEXT_MEASURES[name].score([TextPair(answer, references)]).value for name in names}


def test_articles_case_blanks_and_punctuation_do_not_matter() -> None:
    assert set(values("  the Eiffel   Tower!", "Eiffel tower").values()) == {100}
    assert values("1990\u20131995", "1990-1995")["squad_exact_match"] == 0  # an en dash is no ASCII punctuation


def test_f1_is_of_words_and_the_best_reference_counts() -> None:
    found = values("in the old town of Bern", "Zurich", "old town", "the town of Bern and more")
    assert found["squad_f1"] == pytest.approx(100 * 2 * 3 / (5 + 5))
    assert found["squad2_f1"] == found["squad_f1"]
    assert found["squad_exact_match"] == 0


def test_only_an_empty_answer_is_right_where_there_is_none() -> None:
    assert values("", *()) == {"squad2_exact_match": 100, "squad2_f1": 100}
    assert values("Bern", *()) == {"squad2_exact_match": 0, "squad2_f1": 0}
    with pytest.raises(UnmeasurableError, match="measure squad2_f1"):
        TEXT_MEASURES["squad_f1"].score([TextPair("Bern", ())])


def test_a_reference_that_normalises_to_nothing() -> None:
    assert values("the", "a") == {
        "squad_exact_match": 100,
        "squad_f1": 0,
        "squad2_exact_match": 100,
        "squad2_f1": 100,
    }
    assert values("Bern", "a", "Bern")["squad2_f1"] == 100

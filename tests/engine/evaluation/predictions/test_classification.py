"""Figures of labels, against what scikit-learn 1.9.1 gave."""

import pytest

from engine.evaluation.predictions.classification import class_figures, confusion, labels_of
from engine.evaluation.predictions.measure import UnmeasurableError
from engine.evaluation.predictions.pairs import LabelPair
from engine.evaluation.predictions.registry import label_measures


def pairs(right: str, predicted: str) -> list[LabelPair]:
    return [LabelPair(one, other) for one, other in zip(predicted, right, strict=True)]


def values(right: str, predicted: str, labels: str) -> dict[str, float]:
    measures = label_measures(tuple(labels))
    return {name: measures[name].score(pairs(right, predicted)).value for name in measures if "calib" not in name}


def test_they_equal_scikit_learns() -> None:
    found = values("aabbbcc", "abbbcca", "abc")
    assert found["accuracy"] == pytest.approx(4 / 7)
    assert [found[f"{name}_macro"] for name in ("precision", "recall", "f1")] == pytest.approx([5 / 9] * 3)
    each = class_figures(pairs("aabbbcc", "abbbcca"), "abc")
    assert {label: one.f1 for label, one in each.items()} == pytest.approx({"a": 0.5, "b": 2 / 3, "c": 0.5})
    assert [one.support for one in each.values()] == [2, 3, 2]


def test_a_label_that_is_never_right_counts_in_the_macro_average() -> None:
    found = values("aabbbcc", "axbbcca", "abcd")
    assert [found["precision_macro"], found["recall_macro"], found["f1_macro"]] == pytest.approx([0.5, 5 / 12, 0.45])


def test_an_odd_prediction_adds_no_class_but_is_wrong() -> None:
    assert values("0011", "0012", "012")["f1_macro"] == pytest.approx(0.5555555, abs=1e-6)
    found = values("0011", "0012", "01")
    assert found["f1_macro"] == pytest.approx(0.8333333, abs=1e-6)
    assert found["accuracy"] == found["f1_micro"] == found["precision_micro"] == 0.75
    assert labels_of(pairs("0011", "0012")) == ("0", "1")


def test_confusion_has_a_column_for_what_is_no_label() -> None:
    assert confusion(pairs("aabb", "abbb"), "ab").counts == ((1, 1), (0, 2))
    odd = confusion(pairs("aabb", "axbb"), "ab")
    assert (odd.columns, odd.counts) == (("a", "b", "(other)"), ((1, 0, 1), (0, 2, 0)))


def test_a_reference_outside_of_the_labels_is_refused() -> None:
    with pytest.raises(UnmeasurableError, match="reference 2 is 'z'"):
        values("az", "aa", "ab")

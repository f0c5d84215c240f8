"""Strict F1 of spans, against values that seqeval 1.2.2 gives in strict mode with IOB2."""

import pytest

from engine.evaluation.predictions.pairs import SpanPair, TypedSpan
from engine.evaluation.predictions.registry import SPAN_MEASURES
from engine.evaluation.predictions.spans import spans_of, type_figures

GOLD = (TypedSpan(0, 4, "PER"), TypedSpan(10, 14, "LOC"), TypedSpan(20, 25, "LOC"))


def value(name: str, *pairs: SpanPair) -> float:
    return SPAN_MEASURES[name].score(pairs).value


def test_tags_mark_spans_in_strict_iob2() -> None:
    tags = "O B-PER I-PER O I-LOC I-LOC B-LOC I-PER B-LOC B-LOC I-LOC".split()
    assert spans_of(tags) == (
        TypedSpan(1, 3, "PER"),
        TypedSpan(6, 7, "LOC"),
        TypedSpan(8, 9, "LOC"),
        TypedSpan(9, 11, "LOC"),
    )
    assert spans_of(["B-first-name", "I-first-name"]) == (TypedSpan(0, 2, "first-name"),)


def test_what_opens_without_b_is_no_span_of_the_reference_nor_of_the_prediction() -> None:
    inside = spans_of("O I-LOC I-LOC".split())
    assert value("span_f1", SpanPair(inside, inside)) == 0


def test_start_end_and_type_must_all_be_right() -> None:
    assert value("span_f1", SpanPair(GOLD, GOLD)) == 1
    for wrong in (TypedSpan(0, 5, "PER"), TypedSpan(1, 4, "PER"), TypedSpan(0, 4, "LOC")):
        assert value("span_f1", SpanPair((wrong, *GOLD[1:]), GOLD)) == pytest.approx(2 / 3)


def test_each_type_has_its_figures() -> None:
    pair = SpanPair((GOLD[1], TypedSpan(30, 31, "ORG")), GOLD)
    found = type_figures([pair])
    assert {name: (one.precision, one.recall, one.support) for name, one in found.items()} == {
        "LOC": (1, 0.5, 2),
        "ORG": (0, 0, 0),
        "PER": (0, 0, 1),
    }
    assert value("span_f1", pair) == pytest.approx(2 * 1 / (2 + 3))
    assert value("span_f1_macro", pair) == pytest.approx((2 / 3) / 3)


def test_a_span_counts_once_and_only_in_its_own_text() -> None:
    assert value("span_f1", SpanPair(GOLD[:1] * 2, GOLD[:1])) == pytest.approx(2 / 3)
    assert value("span_f1", SpanPair(GOLD[:1], ()), SpanPair((), GOLD[:1])) == 0

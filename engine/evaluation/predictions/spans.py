"""Strict F1 of spans: right is a span with the right start, the right end and the right type, and each once.

Tags are read as seqeval does in strict mode with IOB2: only ``B-X`` opens a span, and only ``I-X`` of the same type
goes on with it. Its default, as conlleval's, would forgive an ``I-X`` that opens one.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from engine.evaluation.predictions.counts import ClassFigures, by_class, macro, micro
from engine.evaluation.predictions.measure import PredictionMeasure, Score
from engine.evaluation.predictions.pairs import SpanPair, TypedSpan

_SIGNATURE = "mode:strict|scheme:IOB2"


def spans_of(tags: Sequence[str]) -> tuple[TypedSpan, ...]:
    """The spans that IOB2 tags mark, in tokens."""
    found: list[TypedSpan] = []
    is_open = False
    for position, tag in enumerate(tags):
        prefix, _, label = tag.partition("-")
        if prefix == "B":
            found.append(TypedSpan(position, position + 1, label))
            is_open = True
        elif prefix == "I" and is_open and found[-1].label == label:
            found[-1] = TypedSpan(found[-1].start, position + 1, label)
        else:
            is_open = False
    return tuple(found)


def type_figures(pairs: Sequence[SpanPair]) -> dict[str, ClassFigures]:
    """How well each type of span is found, in alphabetical order; a type that is only predicted is one too."""
    hits, predicted, support = _counted(pairs)
    return by_class(sorted(predicted | support), hits, predicted, support)


def _counted(pairs: Sequence[SpanPair]) -> tuple[Counter[str], Counter[str], Counter[str]]:
    hits: Counter[str] = Counter()
    for pair in pairs:
        hits += _by_type((Counter(pair.predictions) & Counter(pair.references)).elements())
    return (
        hits,
        _by_type(span for pair in pairs for span in pair.predictions),
        _by_type(span for pair in pairs for span in pair.references),
    )


def _by_type(spans: Iterable[TypedSpan]) -> Counter[str]:
    return Counter(span.label for span in spans)


def _micro(pairs: Sequence[SpanPair]) -> Score:
    found = micro(*_counted(pairs))
    return Score(found.f1, f"micro|{_SIGNATURE}", {"precision": found.precision, "recall": found.recall})


def _macro(pairs: Sequence[SpanPair]) -> Score:
    found = macro(type_figures(pairs))
    return Score(found["f1"], f"macro|{_SIGNATURE}", {name: found[name] for name in ("precision", "recall")})


SPAN_F1: PredictionMeasure[SpanPair] = PredictionMeasure("span_f1", _micro)
SPAN_F1_MACRO: PredictionMeasure[SpanPair] = PredictionMeasure("span_f1_macro", _macro)

"""Accuracy, precision, recall, F1 and the confusion matrix of labels.

The classes are those of the task, never those that happen to be predicted: one odd answer would otherwise add a class
to every macro average. A prediction outside of them is a wrong one, and counted as such.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engine.evaluation.predictions.counts import ClassFigures, by_class, macro, micro
from engine.evaluation.predictions.measure import PredictionMeasure, Score, UnmeasurableError
from engine.evaluation.predictions.pairs import LabelPair

OTHER = "(other)"
"""The column of predictions that are no label of the task."""


@dataclass(frozen=True)
class Confusion:
    """``counts[row][column]``: how often ``labels[row]`` was right where ``columns[column]`` was predicted."""

    labels: tuple[str, ...]
    columns: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


def labels_of(pairs: Sequence[LabelPair]) -> tuple[str, ...]:
    """The labels of the references, in alphabetical order: the task's own where nobody names them."""
    return tuple(sorted({pair.reference for pair in pairs}))


def class_figures(pairs: Sequence[LabelPair], labels: Sequence[str]) -> dict[str, ClassFigures]:
    """How well each label is found.

    Raises:
        UnmeasurableError: a reference is none of the labels.
    """
    _check(pairs, labels)
    return by_class(labels, *_counted(pairs))


def confusion(pairs: Sequence[LabelPair], labels: Sequence[str]) -> Confusion:
    """The confusion matrix, with a last column for predictions outside of the labels where there are any.

    Raises:
        UnmeasurableError: a reference is none of the labels.
    """
    _check(pairs, labels)
    known = set(labels)
    found = Counter((pair.reference, pair.prediction if pair.prediction in known else OTHER) for pair in pairs)
    columns = (*labels, OTHER) if any(pair.prediction not in known for pair in pairs) else tuple(labels)
    counts = tuple(tuple(found[row, column] for column in columns) for row in labels)
    return Confusion(tuple(labels), columns, counts)


def _check(pairs: Sequence[LabelPair], labels: Sequence[str]) -> None:
    for number, pair in enumerate(pairs, 1):
        if pair.reference not in labels:
            raise UnmeasurableError(f"reference {number} is '{pair.reference}', which is none of the labels given")


def _counted(pairs: Sequence[LabelPair]) -> tuple[Counter[str], Counter[str], Counter[str]]:
    return (
        Counter(pair.reference for pair in pairs if pair.prediction == pair.reference),
        Counter(pair.prediction for pair in pairs),
        Counter(pair.reference for pair in pairs),
    )


def measures(labels: Sequence[str]) -> tuple[PredictionMeasure[LabelPair], ...]:
    """The measures of a task with these labels."""
    signature = f"labels:{len(labels)}"

    def micro_figure(figure: Callable[[ClassFigures], float]) -> Callable[[Sequence[LabelPair]], Score]:
        return lambda pairs: Score(figure(micro(*_counted(pairs))), f"micro|{signature}")

    def macro_figure(name: str) -> Callable[[Sequence[LabelPair]], Score]:
        return lambda pairs: Score(macro(class_figures(pairs, labels))[name], f"macro|{signature}")

    return (
        PredictionMeasure("accuracy", micro_figure(lambda one: one.recall)),
        PredictionMeasure("precision_macro", macro_figure("precision")),
        PredictionMeasure("recall_macro", macro_figure("recall")),
        PredictionMeasure("f1_macro", macro_figure("f1")),
        PredictionMeasure("precision_micro", micro_figure(lambda one: one.precision)),
        PredictionMeasure("recall_micro", micro_figure(lambda one: one.recall)),
        PredictionMeasure("f1_micro", micro_figure(lambda one: one.f1)),
    )

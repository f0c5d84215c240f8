"""Compares two files: pairs their records, chooses the measures, computes them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from engine.evaluation.predictions import encoder as encoders
from engine.evaluation.predictions import files
from engine.evaluation.predictions.calibration import CALIBRATION_ERROR
from engine.evaluation.predictions.classification import Confusion, class_figures, confusion, labels_of
from engine.evaluation.predictions.counts import ClassFigures
from engine.evaluation.predictions.files import BadRecordsError, PredictionRecord
from engine.evaluation.predictions.measure import Score, UnmeasurableError
from engine.evaluation.predictions.pairs import LabelPair, SpanPair, TextPair
from engine.evaluation.predictions.registry import NAMES, SPAN_MEASURES, TEXT_MEASURES, label_measures
from engine.evaluation.predictions.similarity import SIMILARITY, similarity
from engine.evaluation.predictions.spans import type_figures

Records = Sequence[tuple[PredictionRecord, PredictionRecord]]
"""Predictions with their references."""


@dataclass(frozen=True)
class MetricsReport:
    """The scores by name of the measure.

    Attributes:
        pairs: how many predictions were compared.
        unused: how many predictions have no reference.
        classes: how well each label, or type of span, is found.
        confusion: of labels.
    """

    pairs: int
    unused: int
    scores: dict[str, Score] = field(default_factory=dict)
    classes: dict[str, ClassFigures] = field(default_factory=dict)
    confusion: Confusion | None = None

    def as_json(self) -> dict[str, object]:
        """The figures with the names that `thorctl metrics --json` has."""
        figures = asdict(self)
        figures["classes"] = {
            name: {"precision": one.precision, "recall": one.recall, "f1": one.f1, "support": one.support}
            for name, one in self.classes.items()
        }
        return figures


def compare(
    predictions: Path,
    references: Path,
    names: Sequence[str] = (),
    labels: Sequence[str] = (),
    encoder: Path | None = None,
) -> MetricsReport:
    """Compare two files by the measures named, or by those that fit what is in them.

    ``labels`` are those of the task; without them, the labels of the references are. With the folder of an ``encoder``,
    similarity is computed too.

    Raises:
        BadRecordsError: a file cannot be read, or both do not belong together.
        OSError: a file cannot be opened.
        UnmeasurableError: a measure named needs what is not there.
    """
    if unknown := [name for name in names if name not in (*NAMES, SIMILARITY)]:
        raise BadRecordsError(f"there is no measure '{unknown[0]}'; there are {', '.join((*NAMES, SIMILARITY))}")
    if SIMILARITY in names and encoder is None:
        raise UnmeasurableError(f"{SIMILARITY} needs the folder of an encoder: name it with --encoder")
    said, expected = files.read(predictions), files.read(references)
    records = _paired(predictions, said, references, expected)
    chosen = [name for name in names if name != SIMILARITY] if names else _fitting(records)
    scores: dict[str, Score] = {}
    if encoder is not None:
        encode, identity = encoders.load(encoder)
        scores[SIMILARITY] = similarity(_texts(SIMILARITY, records), encode, identity)
    for name in chosen:
        if name in TEXT_MEASURES:
            scores[name] = TEXT_MEASURES[name].score(_texts(name, records))
        elif name in SPAN_MEASURES:
            scores[name] = SPAN_MEASURES[name].score(_spans(name, records))
        else:
            pairs = _labels(name, records)
            scores[name] = label_measures(labels or labels_of(pairs))[name].score(pairs)
    report = MetricsReport(len(records), len(said) - len(records), scores)
    if not chosen:
        return report
    if all(name in SPAN_MEASURES for name in chosen):
        return replace(report, classes=type_figures(_spans(chosen[0], records)))
    if all(name not in TEXT_MEASURES and name not in SPAN_MEASURES for name in chosen):
        pairs = _labels(chosen[0], records)
        known = labels or labels_of(pairs)
        return replace(report, classes=class_figures(pairs, known), confusion=confusion(pairs, known))
    return report


def _paired(
    predictions: Path, said: dict[str, PredictionRecord], references: Path, expected: dict[str, PredictionRecord]
) -> Records:
    """The prediction for each reference, by id where they have one, else by order."""
    are_numbered = all(identity.startswith("#") for identity in (*said, *expected))
    if are_numbered and len(said) != len(expected):
        raise BadRecordsError(
            f"{predictions} has {len(said)} records and {references} has {len(expected)}: each prediction needs its "
            "reference in the same place, or both need ids"
        )
    missing = [identity for identity in expected if identity not in said]
    if missing:
        raise BadRecordsError(
            f"{predictions} has no prediction for {len(missing)} of {len(expected)} references, as for "
            f"'{missing[0]}': give an empty text where there was no answer"
        )
    return [(said[identity], record) for identity, record in expected.items()]


def _fitting(records: Records) -> list[str]:
    """The names of the measures for what all records have."""
    both = [record for pair in records for record in pair]
    if all(record.spans is not None for record in both):
        return list(SPAN_MEASURES)
    if all(record.texts is not None for record in both):
        return [name for name, measure in TEXT_MEASURES.items() if measure.is_default]
    if all(record.label is not None for record in both):
        have_probabilities = all(said.probability is not None for said, _ in records)
        return [name for name in label_measures(()) if have_probabilities or name != CALIBRATION_ERROR.name]
    raise BadRecordsError("predictions and references are not all texts, all labels or all spans")


def _texts(name: str, records: Records) -> list[TextPair]:
    pairs = []
    for said, expected in records:
        if said.texts is None or len(said.texts) != 1:
            raise UnmeasurableError(f"{name} needs one text for each prediction: {said.where} has none or several")
        if expected.texts is None:
            raise UnmeasurableError(f"{name} needs texts: {expected.where} has none")
        pairs.append(TextPair(said.texts[0], expected.texts))
    return pairs


def _labels(name: str, records: Records) -> list[LabelPair]:
    pairs = []
    for said, expected in records:
        for one in (said, expected):
            if one.label is None:
                raise UnmeasurableError(f"{name} needs labels: {one.where} has none")
        pairs.append(LabelPair(said.label or "", expected.label or "", said.probability))
    return pairs


def _spans(name: str, records: Records) -> list[SpanPair]:
    pairs = []
    for said, expected in records:
        for one in (said, expected):
            if one.spans is None:
                raise UnmeasurableError(f"{name} needs spans or tags: {one.where} has none")
        pairs.append(SpanPair(said.spans or (), expected.spans or ()))
    return pairs

"""The table of measures of predictions, by what they compare. A new one costs its file and two lines here."""

from collections.abc import Sequence

from engine.evaluation.predictions.calibration import CALIBRATION_ERROR
from engine.evaluation.predictions.classification import measures
from engine.evaluation.predictions.measure import PredictionMeasure
from engine.evaluation.predictions.pairs import LabelPair, SpanPair, TextPair
from engine.evaluation.predictions.rouge import ROUGE_1, ROUGE_2, ROUGE_L, ROUGE_LSUM
from engine.evaluation.predictions.spans import SPAN_F1, SPAN_F1_MACRO
from engine.evaluation.predictions.squad import SQUAD2_EXACT_MATCH, SQUAD2_F1, SQUAD_EXACT_MATCH, SQUAD_F1
from engine.evaluation.predictions.translation import BLEU_4, CHRF_2, CHRF_PLUS_PLUS, TRANSLATION_EDIT_RATE
from engine.evaluation.predictions.variety import DISTINCT_1, DISTINCT_2, REPETITION

TEXT_MEASURES: dict[str, PredictionMeasure[TextPair]] = {
    measure.name: measure
    for measure in (
        BLEU_4,
        CHRF_2,
        CHRF_PLUS_PLUS,
        TRANSLATION_EDIT_RATE,
        ROUGE_1,
        ROUGE_2,
        ROUGE_L,
        ROUGE_LSUM,
        DISTINCT_1,
        DISTINCT_2,
        REPETITION,
        SQUAD_EXACT_MATCH,
        SQUAD_F1,
        SQUAD2_EXACT_MATCH,
        SQUAD2_F1,
    )
}
SPAN_MEASURES: dict[str, PredictionMeasure[SpanPair]] = {measure.name: measure for measure in (SPAN_F1, SPAN_F1_MACRO)}


def label_measures(labels: Sequence[str]) -> dict[str, PredictionMeasure[LabelPair]]:
    """The measures of a task with these labels."""
    return {measure.name: measure for measure in (*measures(labels), CALIBRATION_ERROR)}


NAMES: tuple[str, ...] = (*TEXT_MEASURES, *label_measures(()), *SPAN_MEASURES)

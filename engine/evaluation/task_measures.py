"""How well a version answers the tasks of held-out rows, by the measures of each task; and one temperature for each.

Labels are scored and spans generated as a service does it. These figures are shown and decide nothing: the gate
compares likelihoods, of which these rows are a part.
"""

import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from engine.data.samples import Conversation, Labelled
from engine.data.tasks import spans
from engine.data.tasks.posed import PosedTask, PosedText, answer_of
from engine.data.tasks.task import Task
from engine.evaluation.predictions.measure import UnmeasurableError
from engine.evaluation.predictions.pairs import LabelPair, SpanPair, TextPair, TypedSpan
from engine.evaluation.predictions.registry import SPAN_MEASURES, TEXT_MEASURES, label_measures
from engine.inference.requests import PromptTooLongError
from engine.inference.versions.loaded_model import LoadedModel
from engine.predict import PredictionError, Predictor
from engine.tasks import calibrating
from engine.tasks.answering import Calibration, probabilities_of
from engine.tasks.asking import Input
from engine.tasks.calibrating import FittedTemperature
from engine.version import LoadedVersion

MOST_GENERATED = 24
"""Rows of one task whose answers are generated, which takes many times as long as scoring."""
_ROWS = 8
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TaskFindings:
    """What was found on the held-out rows of all tasks.

    Attributes:
        figures: each measure by ``task_NAME_MEASURE``, and ``task_NAME_rows``.
        temperatures: what was fitted, by the name of the task.
    """

    figures: dict[str, float] = field(default_factory=dict)
    temperatures: dict[str, FittedTemperature] = field(default_factory=dict)


def measure_tasks(
    version: LoadedVersion,
    held_out: Sequence[Conversation],
    tasks: Mapping[str, Task],
    advance: Callable[[int, int], None],
) -> TaskFindings:
    """Answer the questions of the held-out rows, task by task.

    ``advance`` is told how many rows are done, and of how many.
    """
    rows = _by_task(held_out, tasks)
    found = TaskFindings()
    if not rows:
        return found
    done, total = 0, sum(map(len, rows.values()))
    with Predictor(LoadedModel(version, _ROWS, version.model), tasks) as predictor:
        for name, of_task in rows.items():
            advance(done, total)
            try:
                _measure(predictor, tasks[name], of_task, found)
            except (PromptTooLongError, PredictionError, UnmeasurableError) as error:
                _logger.warning("task '%s' is not measured: %s", name, error)
            done += len(of_task)
    return found


def _by_task(held_out: Sequence[Conversation], tasks: Mapping[str, Task]) -> dict[str, list[Labelled]]:
    found: dict[str, list[Labelled]] = {}
    for conversation in held_out:
        if isinstance(conversation, PosedTask | PosedText):
            of_task = found.setdefault(conversation.labelled.task, [])
            task = tasks[conversation.labelled.task]
            if task.kind == "classify" or len(of_task) < MOST_GENERATED:
                of_task.append(conversation.labelled)
    return {name: of_task for name, of_task in found.items() if tasks[name].kind != "rank"}


def _measure(predictor: Predictor, task: Task, rows: Sequence[Labelled], found: TaskFindings) -> None:
    inputs = [Input(row.text, row.text_pair) for row in rows]
    if task.kind == "classify":
        labels = task.labels or tuple(sorted({str(row.label) for row in rows}))
        scored = predictor.logprobs(task, [Input(each.text, each.text_pair, labels) for each in inputs])
        right = [labels.index(str(row.label)) for row in rows]
        prior = predictor.prior(task, labels)
        values = _of_labels(task, labels, scored, right, Calibration(prior=prior))
        fitted = FittedTemperature(temperature=calibrating.fitted(scored, right, prior), rows=len(rows))
        found.temperatures[task.name] = fitted
    else:
        answers = predictor.predict_all(inputs, task.name)
        values = _of_answers(task, rows, answers)
    figures = {"rows": float(len(rows)), **dict(values)}
    found.figures.update({f"task_{task.name}_{name}": value for name, value in figures.items() if math.isfinite(value)})


def _of_labels(
    task: Task,
    labels: Sequence[str],
    scored: Sequence[Sequence[float]],
    right: Sequence[int],
    calibration: Calibration,
) -> Iterator[tuple[str, float]]:
    pairs = []
    for logprobs, place in zip(scored, right, strict=True):
        probabilities = probabilities_of(logprobs, calibration)
        best = max(range(len(labels)), key=probabilities.__getitem__)
        pairs.append(LabelPair(labels[best], labels[place], probabilities[best]))
    measures = label_measures(labels)
    yield from ((name, measures[name].score(pairs).value) for name in task.measured_by if name in measures)


def _of_answers(
    task: Task, rows: Sequence[Labelled], answers: Sequence[Mapping[str, object]]
) -> Iterator[tuple[str, float]]:
    if task.kind == "tag":
        of_spans = [
            SpanPair(_typed(answer["spans"]), tuple(TypedSpan(each.start, each.end, each.label) for each in row.spans))
            for row, answer in zip(rows, answers, strict=True)
        ]
        yield from (
            (name, SPAN_MEASURES[name].score(of_spans).value) for name in task.measured_by if name in SPAN_MEASURES
        )
        return
    texts = [TextPair(_text(task, answer), _references(task, row)) for row, answer in zip(rows, answers, strict=True)]
    yield from ((name, TEXT_MEASURES[name].score(texts).value) for name in task.measured_by if name in TEXT_MEASURES)


def _references(task: Task, row: Labelled) -> tuple[str, ...]:
    """The answers that would have been right; of a question without one, none."""
    if task.kind == "extract":
        source = spans.source_of(task, row.text, row.text_pair)
        return tuple(source[span.start : span.end] for span in row.spans)
    return (answer_of(row, task) or "",)


def _typed(found: object) -> tuple[TypedSpan, ...]:
    given = found if isinstance(found, list) else []
    return tuple(TypedSpan(each["start"], each["end"], each["label"]) for each in given)


def _text(task: Task, answer: Mapping[str, object]) -> str:
    if task.kind == "extract":
        found = answer["spans"]
        return str(found[0]["text"]) if isinstance(found, list) and found else ""
    return str(answer["generated_text"])

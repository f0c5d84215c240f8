"""What a version answers to the held-out rows of tasks: labels are scored and spans generated as a service does it."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from engine.data.samples import Conversation, Labelled
from engine.data.tasks import spans
from engine.data.tasks.posed import PosedTask, PosedText, answer_of
from engine.data.tasks.task import Task
from engine.evaluation.predictions.pairs import LabelPair, SpanPair, TextPair, TypedSpan
from engine.inference.requests import PromptTooLongError
from engine.inference.versions.loaded_model import LoadedModel
from engine.predict import PredictionError, Predictor
from engine.tasks.answering import Calibration, probabilities_of
from engine.tasks.asking import Input
from engine.version import LoadedVersion

MOST_GENERATED = 24
"""Rows of one task whose answers are generated, which takes many times as long as scoring."""
_ROWS = 8
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answer:
    """What a version says to one row.

    Attributes:
        text: the label, or the answer.
        spans: of a task of kind ``tag``.
        probability: of the label, among all labels; null for other kinds.
    """

    text: str
    spans: tuple[TypedSpan, ...] = ()
    probability: float | None = None


@dataclass(frozen=True)
class AnsweredTask:
    """Rows of one task, and the answer to each.

    Attributes:
        labels: those that a task of kind ``classify`` chose among; the rest is empty for other kinds.
        logprobs: of every label, for each row.
        prior: that of `Calibration`.
    """

    task: Task
    rows: tuple[Labelled, ...]
    answers: tuple[Answer, ...]
    labels: tuple[str, ...] = ()
    logprobs: tuple[tuple[float, ...], ...] = ()
    prior: tuple[float, ...] = ()

    @property
    def label_pairs(self) -> list[LabelPair]:
        """The label predicted for each row beside the right one; for kind ``classify``."""
        pairs = zip(self.answers, self.rows, strict=True)
        return [LabelPair(answer.text, str(row.label), answer.probability) for answer, row in pairs]

    @property
    def span_pairs(self) -> list[SpanPair]:
        """The spans found in each row beside those that are there; for kind ``tag``."""
        pairs = zip(self.answers, self.rows, strict=True)
        return [SpanPair(answer.spans, expected_spans(row)) for answer, row in pairs]

    @property
    def text_pairs(self) -> list[TextPair]:
        """The answer to each row beside those that would have been right; for other kinds."""
        pairs = zip(self.answers, self.rows, strict=True)
        return [TextPair(answer.text, _references(self.task, row)) for answer, row in pairs]


def answer_tasks(
    version: LoadedVersion,
    held_out: Sequence[Conversation],
    tasks: Mapping[str, Task],
    advance: Callable[[int, int], None],
) -> Iterator[AnsweredTask]:
    """Answer the questions of the held-out rows, task by task; a task that cannot be asked is left out, and logged.

    ``advance`` is told how many rows are done, and of how many.
    """
    rows = _by_task(held_out, tasks)
    if not rows:
        return
    done, total = 0, sum(map(len, rows.values()))
    with Predictor(LoadedModel(version, _ROWS, version.model), tasks) as predictor:
        for name, of_task in rows.items():
            advance(done, total)
            try:
                yield _answered(predictor, tasks[name], of_task)
            except (PromptTooLongError, PredictionError) as error:
                _logger.warning("task '%s' is not measured: %s", name, error)
            done += len(of_task)


def expected(task: Task, row: Labelled) -> str:
    """The right answer to a row, as a person reads it."""
    return answer_of(row, task) or ""


def expected_spans(row: Labelled) -> tuple[TypedSpan, ...]:
    """The spans that are in a row."""
    return tuple(TypedSpan(each.start, each.end, each.label) for each in row.spans)


def _by_task(held_out: Sequence[Conversation], tasks: Mapping[str, Task]) -> dict[str, list[Labelled]]:
    found: dict[str, list[Labelled]] = {}
    for conversation in held_out:
        if isinstance(conversation, PosedTask | PosedText):
            of_task = found.setdefault(conversation.labelled.task, [])
            task = tasks[conversation.labelled.task]
            if task.kind == "classify" or len(of_task) < MOST_GENERATED:
                of_task.append(conversation.labelled)
    return {name: of_task for name, of_task in found.items() if tasks[name].kind != "rank"}


def _answered(predictor: Predictor, task: Task, rows: Sequence[Labelled]) -> AnsweredTask:
    inputs = [Input(row.text, row.text_pair) for row in rows]
    if task.kind == "classify":
        labels = task.labels or tuple(sorted({str(row.label) for row in rows}))
        scored = predictor.logprobs(task, [Input(each.text, each.text_pair, labels) for each in inputs])
        prior = predictor.prior(task, labels)
        answers = [_likeliest(labels, probabilities_of(logprobs, Calibration(prior=prior))) for logprobs in scored]
        return AnsweredTask(task, tuple(rows), tuple(answers), labels, tuple(scored), prior)
    said = predictor.predict_all(inputs, task.name)
    return AnsweredTask(task, tuple(rows), tuple(_read(task, row, each) for row, each in zip(rows, said, strict=True)))


def _likeliest(labels: Sequence[str], probabilities: Sequence[float]) -> Answer:
    best = max(range(len(labels)), key=probabilities.__getitem__)
    return Answer(labels[best], probability=probabilities[best])


def _read(task: Task, row: Labelled, said: Mapping[str, JsonValue]) -> Answer:
    if task.kind == "generate":
        return Answer(str(said["generated_text"]))
    found = said["spans"]
    entries = [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
    if task.kind == "extract":
        return Answer(str(entries[0]["text"]) if entries else "")
    typed = tuple(TypedSpan(_number(each["start"]), _number(each["end"]), str(each["label"])) for each in entries)
    return Answer("\n".join(f"{each.label}: {row.text[each.start : each.end]}" for each in typed), typed)


def _number(value: JsonValue) -> int:
    assert isinstance(value, int)
    return value


def _references(task: Task, row: Labelled) -> tuple[str, ...]:
    """The answers that would have been right; of a question without one, none."""
    if task.kind == "extract":
        source = spans.source_of(task, row.text, row.text_pair)
        return tuple(source[span.start : span.end] for span in row.spans)
    return (expected(task, row),)

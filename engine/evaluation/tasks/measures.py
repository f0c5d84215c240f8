"""The measures of each task on held-out rows, and one temperature for each.

These figures are shown and decide nothing: the gate compares likelihoods, of which these rows are a part.
"""

import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from engine.data.samples import Conversation
from engine.data.tasks.task import Task
from engine.evaluation.predictions.measure import UnmeasurableError
from engine.evaluation.predictions.registry import SPAN_MEASURES, TEXT_MEASURES, label_measures
from engine.evaluation.tasks.answers import AnsweredTask, answer_tasks
from engine.tasks import calibrating
from engine.tasks.calibrating import FittedTemperature
from engine.version import LoadedVersion

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
    """Answer the questions of the held-out rows, task by task, and measure the answers.

    ``advance`` is told how many rows are done, and of how many.
    """
    found = TaskFindings()
    for answered in answer_tasks(version, held_out, tasks, advance):
        name, count = answered.task.name, len(answered.rows)
        figures = {"rows": float(count)} | measures_of(answered)
        found.figures.update({f"task_{name}_{key}": value for key, value in figures.items()})
        if answered.task.kind == "classify":
            right = [answered.labels.index(str(row.label)) for row in answered.rows]
            temperature = calibrating.fitted(answered.logprobs, right, answered.prior)
            found.temperatures[name] = FittedTemperature(temperature=temperature, rows=count)
    return found


def measures_of(answered: AnsweredTask) -> dict[str, float]:
    """The measures of a task that its answers have; one that has no number for them is left out, and logged."""
    try:
        return {name: value for name, value in _values(answered) if math.isfinite(value)}
    except UnmeasurableError as error:
        _logger.warning("task '%s' is not measured: %s", answered.task.name, error)
        return {}


def _values(answered: AnsweredTask) -> Iterator[tuple[str, float]]:
    names = answered.task.measured_by
    if answered.task.kind == "classify":
        of_labels, labels = label_measures(answered.labels), answered.label_pairs
        yield from ((name, of_labels[name].score(labels).value) for name in names if name in of_labels)
    elif answered.task.kind == "tag":
        spans = answered.span_pairs
        yield from ((name, SPAN_MEASURES[name].score(spans).value) for name in names if name in SPAN_MEASURES)
    else:
        texts = answered.text_pairs
        yield from ((name, TEXT_MEASURES[name].score(texts).value) for name in names if name in TEXT_MEASURES)

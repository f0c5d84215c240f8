"""A labelled sample as its task puts it to the model: a question, and the answer that is learned."""

from collections.abc import Mapping
from dataclasses import dataclass

from engine.data.samples import Conversation, Dialogue, Label, Labelled, Message, Preference, Sample, Text
from engine.data.tasks import spans
from engine.data.tasks.task import Task


class _OfALabelled:
    """Known by the labelled sample, not by how the question is put."""

    __slots__ = ()
    labelled: Labelled

    @property
    def identity(self) -> str:
        """That of the labelled sample."""
        return self.labelled.identity

    @property
    def group(self) -> str:
        """That of the labelled sample."""
        return self.labelled.group


@dataclass(frozen=True, slots=True)
class PosedTask(_OfALabelled, Dialogue):
    """The dialogue that a labelled sample is learned as."""

    labelled: Labelled


@dataclass(frozen=True, slots=True)
class PosedText(_OfALabelled, Text):
    """The text that one is learned as where the model continues a text."""

    labelled: Labelled


def posed(sample: Sample, tasks: Mapping[str, Task]) -> Conversation | None:
    """What is learned of a sample, and measured; null where that is nothing.

    Of a labelled one that is nothing where no task has its name, or where the task has not its label any more.
    """
    if isinstance(sample, Preference):
        return None
    if not isinstance(sample, Labelled):
        return sample
    task = tasks.get(sample.task)
    answer = None if task is None else answer_of(sample, task)
    if task is None or answer is None:
        return None
    question = task.question(sample.text, sample.text_pair)
    if task.style == "text":
        return PosedText(question + answer, sample)
    return PosedTask((Message("user", question), Message("assistant", answer)), sample)


def answer_of(sample: Labelled, task: Task) -> str | None:
    """The answer that a labelled sample gives; null where the task does not have it."""
    if task.kind in ("extract", "tag"):
        if task.kind == "tag" and any(span.label not in task.labels for span in sample.spans):
            return None
        return spans.written(task, spans.source_of(task, sample.text, sample.text_pair), sample.spans)
    label = single(sample.label)
    if label is None or (task.kind == "classify" and task.labels and label not in task.labels):
        return None
    return label


def single(label: Label | tuple[Label, ...] | None) -> str | None:
    """A label as a text; null for none and for several."""
    if isinstance(label, tuple) or label is None:
        return None
    return label if isinstance(label, str) else str(label)

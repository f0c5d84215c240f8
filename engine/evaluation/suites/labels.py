"""Labelled rows, answered by scoring: the label whose text the model finds most probable as the answer.

The probabilities are those of the labels alone, so they add up to one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from engine.data.samples import Conversation, Dialogue, Labelled, Message
from engine.data.tasks.posed import posed
from engine.data.tasks.task import Task
from engine.evaluation.likelihood import Floats
from engine.evaluation.predictions.pairs import LabelPair


def is_measurable(row: Labelled) -> bool:
    """Whether a row has exactly one label; several labels and spans are not scored."""
    return row.label is not None and not isinstance(row.label, tuple) and not row.spans


def questions(rows: Sequence[Labelled], tasks: Mapping[str, Task]) -> tuple[list[str], list[Conversation]]:
    """All labels that occur in the rows, and each row answered by each of them, row by row.

    The questions are those of the task that a row is of; without one, the text alone.
    """
    labels = sorted({str(row.label) for row in rows})
    return labels, [_answered(row, label, tasks) for row in rows for label in labels]


def pairs(rows: Sequence[Labelled], labels: Sequence[str], nats_A: Floats) -> list[LabelPair]:
    """The likeliest label of each row beside the right one, from the nats of the A answers that `questions` lists."""
    nats_RL = nats_A.reshape(len(rows), len(labels))
    weights_RL = np.exp(nats_RL.min(axis=1, keepdims=True) - nats_RL)
    shares_RL = weights_RL / weights_RL.sum(axis=1, keepdims=True)
    return [
        LabelPair(labels[int(shares_L.argmax())], str(row.label), float(shares_L.max()))
        for row, shares_L in zip(rows, shares_RL, strict=True)
    ]


def _answered(row: Labelled, label: str, tasks: Mapping[str, Task]) -> Conversation:
    if (asked := posed(replace(row, label=label), tasks)) is not None:
        return asked
    text = f"{row.text}\n\n{row.text_pair}" if row.text_pair else row.text
    return Dialogue((Message("user", text), Message("assistant", label)))

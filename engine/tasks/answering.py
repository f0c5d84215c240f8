"""What the engine's answer says, as JSON: the same from a service and in a process."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from engine.data.tasks import spans
from engine.data.tasks.task import Task
from engine.tasks.asking import AskedWronglyError, Input, Refusal


@dataclass(frozen=True)
class Calibration:
    """How scores become probabilities.

    Attributes:
        temperature: what log-probabilities are divided by (Guo et al., 2017); fitted on held-out rows.
        prior: the log-probability of each choice without a text; empty for none.
    """

    temperature: float = 1.0
    prior: tuple[float, ...] = ()


PLAIN = Calibration()


def probabilities_of(logprobs: Sequence[float], calibration: Calibration = PLAIN) -> list[float]:
    """The probability of each choice, given that it is one of them; they sum to 1."""
    priors = calibration.prior or [0.0] * len(logprobs)
    scaled = [(one - prior) / calibration.temperature for one, prior in zip(logprobs, priors, strict=True)]
    highest = max(scaled)
    weights = [math.exp(each - highest) for each in scaled]
    return [weight / math.fsum(weights) for weight in weights]


def chosen(task: Task, choices: Sequence[str], probabilities: Sequence[float]) -> dict[str, JsonValue]:
    """The answer of a task whose choices were scored."""
    order = sorted(range(len(choices)), key=lambda place: -probabilities[place])
    if task.kind == "rank":
        ranking: list[JsonValue] = [{"text": choices[at], "probability": probabilities[at]} for at in order]
        return {"task": task.name, "ranking": ranking}
    found: dict[str, JsonValue] = {choices[at]: probabilities[at] for at in order}
    return {"task": task.name, "predicted_class": choices[order[0]], "probabilities": found}


def said(task: Task, given: Input, answer: str) -> dict[str, JsonValue]:
    """The answer of a task whose answer was generated."""
    if task.kind == "generate":
        return {"task": task.name, "generated_text": answer}
    source = spans.source_of(task, given.text, given.text_pair)
    found = spans.read_back(task, source, answer, given.labels or task.labels)
    written: list[JsonValue] = []
    for span in found:
        entry: dict[str, JsonValue] = {"text": source[span.start : span.end], "start": span.start, "end": span.end}
        written.append(entry | ({"label": span.label} if span.label else {}))
    result: dict[str, JsonValue] = {"task": task.name, "spans": written}
    if task.kind == "tag":
        result["tags"] = [
            {"text": text, "start": start, "end": end, "tag": tag}
            for text, start, end, tag in spans.tags(source, found)
        ]
    return result


def refused(task: Task, refusal: Refusal) -> dict[str, JsonValue]:
    """What stands in place of an answer where one of several inputs could not be asked about."""
    field = refusal.error.field if isinstance(refusal.error, AskedWronglyError) else "input"
    return {"task": task.name, "error": {"message": str(refusal.error), "param": field}}

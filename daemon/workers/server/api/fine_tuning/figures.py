"""The figures of a run, read from its ``metrics.jsonl``: for events, for the file of results, for the checkpoint."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from daemon import clock

_LONGEST_LINE = 1 << 14
"""Longer ones are histograms."""
_COLUMNS = ("step", "train_loss", "valid_loss", "learning_rate", "gradient_norm", "tokens", "tokens_per_second")


@dataclass(frozen=True)
class StepFigures:
    """What was told of one step; null where it was not.

    Attributes:
        at: seconds since the epoch.
        tokens: positions computed so far.
        trouble: what was done about a bad step.
    """

    step: int
    at: int
    train_loss: float | None = None
    valid_loss: float | None = None
    learning_rate: float | None = None
    gradient_norm: float | None = None
    tokens: int | None = None
    tokens_per_second: float | None = None
    trouble: str | None = None


def read(file: Path) -> list[StepFigures]:
    """Everything that was told of training and validation, in order; none where the run has not begun."""
    try:
        with file.open("rb") as lines:
            found = [figures for line in lines if len(line) <= _LONGEST_LINE and (figures := _of(line)) is not None]
    except OSError:
        return []
    return sorted(found, key=lambda figures: figures.step)


def as_csv(figures: Sequence[StepFigures]) -> bytes:
    """The file of results: one row a step."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(_COLUMNS)
    for one in _by_step(figures):
        table.writerow(["" if (value := getattr(one, column)) is None else value for column in _COLUMNS])
    return text.getvalue().encode()


def last(figures: Sequence[StepFigures]) -> StepFigures | None:
    """What is known of the last step, with the last losses that were measured."""
    if not figures:
        return None
    train = next((one.train_loss for one in reversed(figures) if one.train_loss is not None), None)
    valid = next((one.valid_loss for one in reversed(figures) if one.valid_loss is not None), None)
    tokens = max((one.tokens or 0 for one in figures), default=0)
    return StepFigures(figures[-1].step, figures[-1].at, train, valid, tokens=tokens or None)


def _by_step(figures: Sequence[StepFigures]) -> list[StepFigures]:
    """Training and validation of the same step in one."""
    rows: dict[int, StepFigures] = {}
    for one in figures:
        if one.trouble is None:
            known = rows.get(one.step)
            rows[one.step] = one if known is None else _joined(known, one)
    return list(rows.values())


def _joined(one: StepFigures, other: StepFigures) -> StepFigures:
    names = ("at", *_COLUMNS[1:])
    given = {name: value for name in names if (value := getattr(other, name)) is not None}
    return StepFigures(**{**{name: getattr(one, name) for name in (*names, "step")}, **given})


def _of(line: bytes) -> StepFigures | None:
    try:
        return _told(json.loads(line))
    except ValueError:
        return None  # it is being written


def _told(value: JsonValue) -> StepFigures | None:
    if not isinstance(value, dict) or not isinstance(step := value.get("step"), int):
        return None
    if not isinstance(written := value.get("at"), str):
        return None
    at = clock.epoch(written)
    if "validation_loss" in value:
        return StepFigures(step, at, valid_loss=_number(value, "validation_loss"))
    if isinstance(event := value.get("event"), str):
        return StepFigures(step, at, trouble=event)
    if "loss" not in value:
        return None
    tokens = _number(value, "tokens")
    return StepFigures(
        step,
        at,
        train_loss=_number(value, "loss"),
        learning_rate=_number(value, "learning_rate"),
        gradient_norm=_number(value, "gradient_norm"),
        tokens=None if tokens is None else int(tokens),
        tokens_per_second=_number(value, "tokens_per_second"),
    )


def _number(value: dict[str, JsonValue], name: str) -> float | None:
    found = value.get(name)
    return found if isinstance(found, int | float) and not isinstance(found, bool) else None

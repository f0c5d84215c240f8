"""Lines of ``metrics.jsonl`` as Weights & Biases is told them, under the names that Model Trainer documents.

| line               | becomes                                                                          |
| ------------------ | -------------------------------------------------------------------------------- |
| a training step    | train_loss, train_ppl, grad_norm, samples_per_sec, global_step, epoch            |
| the end of an epoch | val_loss, val_ppl, best_val_loss, epochs_no_improve; a row of epoch_summary     |
| the end of the run | test_loss, test_ppl, early_stopped, and the table epoch_summary                  |

Nothing else is passed on: no texts, no histograms. Pure functions.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import JsonValue

Values = dict[str, float | bool]
Row = tuple[float | None, ...]

COLUMNS = (
    "epoch",
    "global_step",
    "train_loss",
    "train_ppl",
    "val_loss",
    "val_ppl",
    "best_val_loss",
    "epochs_no_improve",
    "samples_per_sec",
)
"""Of the table ``epoch_summary``."""


@dataclass(frozen=True)
class Told:
    """What one line says. ``values`` belong to ``step``, ``final`` ones to the run; ``row`` is one of the table."""

    step: int
    values: Values
    row: Row | None = None
    final: Values | None = None


def translate(line: Mapping[str, JsonValue]) -> Told | None:
    """What to tell of a line; null where it says nothing that is documented."""
    step = line.get("step")
    if not isinstance(step, int):
        return None
    if "early_stopped" in line:
        test_loss = _number(line, "test_loss")
        found = {"test_loss": test_loss, "test_ppl": _perplexity(test_loss)}
        return Told(step, {}, final={**_known(found), "early_stopped": line["early_stopped"] is True})
    if "epoch_ended" in line:
        return _epoch(step, line)
    if "loss" in line:
        loss = _number(line, "loss")
        found = {
            "train_loss": loss,
            "train_ppl": _perplexity(loss),
            "grad_norm": _number(line, "gradient_norm"),
            "samples_per_sec": _number(line, "samples_per_second"),
            "global_step": float(step),
            "epoch": _number(line, "epoch"),
        }
        return Told(step, _known(found))
    return None


def _epoch(step: int, line: Mapping[str, JsonValue]) -> Told:
    train, validation = _number(line, "epoch_train_loss"), _number(line, "epoch_validation_loss")
    best, without = _number(line, "epoch_best_validation_loss"), _number(line, "epoch_without_improvement")
    speed = _number(line, "epoch_samples_per_second")
    row = (
        _number(line, "epoch_ended"),
        float(step),
        train,
        _perplexity(train),
        validation,
        _perplexity(validation),
        best,
        without,
        speed,
    )
    found = {
        "val_loss": validation,
        "val_ppl": _perplexity(validation),
        "best_val_loss": best,
        "epochs_no_improve": without,
    }
    return Told(step, _known(found), row)


def _known(found: Mapping[str, float | None]) -> Values:
    return {name: value for name, value in found.items() if value is not None}


def _number(line: Mapping[str, JsonValue], name: str) -> float | None:
    value = line.get(name)
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if is_number and isinstance(value, int | float) else None


def _perplexity(loss: float | None) -> float | None:
    try:
        return None if loss is None else math.exp(loss)
    except OverflowError:
        return None

"""``eval/metrics.json`` of a run: its epochs and what it came to, under the names that Model Trainer documents.

Written anew as epochs end, so that it says how far a run is too. Losses are in nats per supervised token, ``_ppl`` is
their exponential.
"""

import math
from collections.abc import Mapping, Sequence

from pydantic import JsonValue, TypeAdapter

from engine.training.epochs import EpochFigures
from engine.training.reporting.reporter import FinalFigures

PLACE = "eval/metrics.json"
"""In the folder of the run."""

_LINE = {
    "epoch_ended": "epoch",
    "epochs": "epochs",
    "step": "step",
    "samples": "samples",
    "epoch_train_loss": "train_loss",
    "epoch_validation_loss": "validation_loss",
    "epoch_best_validation_loss": "best_validation_loss",
    "epoch_without_improvement": "without_improvement",
    "epoch_seconds": "seconds",
    "epoch_samples_per_second": "samples_per_second",
}
"""Names in a line of ``metrics.jsonl``, and those of `EpochFigures`."""


_EPOCH = TypeAdapter(EpochFigures)


def perplexity(loss: float | None) -> float | None:
    """Of a loss in nats; null where that is unknown, or too large for a number."""
    try:
        return None if loss is None or not math.isfinite(loss) else math.exp(loss)
    except OverflowError:
        return None


def to_line(figures: EpochFigures) -> dict[str, float | None]:
    """An epoch as a line of ``metrics.jsonl``."""
    return {name: getattr(figures, field) for name, field in _LINE.items()}


def from_line(line: Mapping[str, JsonValue]) -> EpochFigures:
    """The inverse of `to_line`.

    Raises:
        KeyError, ValueError: the line is of another kind.
    """
    return _EPOCH.validate_python({field: line[name] for name, field in _LINE.items()})


def row(figures: EpochFigures) -> dict[str, JsonValue]:
    """One of the table ``epoch_summary``."""
    return {
        "epoch": figures.epoch,
        "global_step": figures.step,
        "samples": figures.samples,
        "train_loss": figures.train_loss,
        "train_ppl": perplexity(figures.train_loss),
        "val_loss": figures.validation_loss,
        "val_ppl": perplexity(figures.validation_loss),
        "best_val_loss": figures.best_validation_loss,
        "epochs_no_improve": figures.without_improvement,
        "samples_per_sec": round(figures.samples_per_second, 3),
        "seconds": round(figures.seconds, 3),
    }


def of_run(epochs: Sequence[EpochFigures], final: FinalFigures | None) -> dict[str, JsonValue]:
    """The whole file; ``final`` is null while the run goes on."""
    rows: list[JsonValue] = [row(one) for one in epochs]
    newest = row(epochs[-1]) if epochs else {}
    test_loss = final.test_loss if final else None
    return {
        "finished": final is not None,
        "total_epochs": epochs[-1].epochs if epochs else None,
        **newest,
        "best_step": final.best_step if final else None,
        "test_loss": test_loss,
        "test_ppl": perplexity(test_loss),
        "early_stopped": final.early_stopped if final else False,
        "training_time_seconds": round(final.seconds, 3) if final else None,
        "epoch_summary": rows,
    }

"""What the run of a cycle decided before its first step, and its epochs, for clients: read from the run's folder."""

from pydantic import BaseModel, JsonValue, ValidationError

from control.paths import Paths
from engine.config.training import Method

_FILE = "run.json"
_SUMMARY = "eval/metrics.json"


class _DecidedRecipe(BaseModel):
    epochs: float
    max_steps: int | None = None
    batch_size: int
    gradient_accumulation: int
    learning_rate: float
    kl_weight: float


class _DecidedRun(BaseModel):
    method: Method
    recipe: _DecidedRecipe


def of_cycle(paths: Paths, number: int) -> dict[str, JsonValue] | None:
    """How it changes what, in how many passes or steps, at which rate; null before that is decided. Blocking."""
    try:
        found = _DecidedRun.model_validate_json((paths.run_folder(number) / _FILE).read_bytes())
    except (OSError, ValidationError):
        return None
    recipe = found.recipe
    return {
        "method": found.method,
        "epochs": recipe.epochs,
        "max_steps": recipe.max_steps,
        "rows_per_step": recipe.batch_size * recipe.gradient_accumulation,
        "learning_rate": recipe.learning_rate,
        "kl_weight": recipe.kl_weight,
    }


class _Epoch(BaseModel):
    epoch: int
    global_step: int
    train_loss: float | None
    val_loss: float | None
    best_val_loss: float | None
    epochs_no_improve: int
    samples_per_sec: float


class _Summary(BaseModel):
    finished: bool
    early_stopped: bool
    test_loss: float | None
    epoch_summary: list[_Epoch]


def epochs_of_cycle(paths: Paths, number: int) -> dict[str, JsonValue] | None:
    """What its epochs, and the run, came to so far; null before the first has ended. Blocking."""
    try:
        found = _Summary.model_validate_json((paths.run_folder(number) / _SUMMARY).read_bytes())
    except (OSError, ValidationError):
        return None
    value: dict[str, JsonValue] = found.model_dump(mode="json")
    return value

"""What the run of a cycle decided before its first step, for clients: read from its ``run.json``."""

from pydantic import BaseModel, JsonValue, ValidationError

from control.paths import Paths
from engine.config.training import Method

_FILE = "run.json"


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

"""How long a run is, in which batches and at which rate: a pure function of what there is to learn and the settings.

What ``[training]`` sets is taken as it is. The rest follows from the data, by the kind of start:

| unset              | from nothing                             | from its own version   | from an import, all of it |
| ------------------ | ---------------------------------------- | ---------------------- | ------------------------- |
| ``epochs``         | 40; 12 or more where nothing validates   | 3, more below 40 steps | 4, more below 20 steps    |
| ends early         | when validation is flat                  | the same               | 5 % above the lowest      |
| longest            | ``initial_minutes``, as steps            | its epochs             | its epochs                |
| rows in a step     | a third of the root of the rows, 1 to 32 | the same               | a sixth of the root       |
| peak rate          | by size: 1e-3 to 2 M, down to 3e-4       | the same               | 1e-4 at 135 M             |
| ``validate_every`` | an epoch, 10 to 200 steps                | the same               | 20 steps at least         |
| best weights       | those of the lowest validation           | the same               | the last within 5 % of it |
| ``kl_weight``      | none                                     | none                   | 0.3                       |

An import has learned more than any data here can teach it: at a third of the rate it takes up what is new and keeps
what it knew (docs/development/studies.md), and its checkpoints are large, so that it is validated less often. KL holds
it to what it was: without that, facts learned alone cost it answers in general. Facts told a few times are few tokens
beside longer conversations, but as many rows of their own: small batches give them steps. They are learned last, when
validation on everything else has begun to rise a little.

An adapter of an import (``method`` is ``lora`` unless set: `engine.adapters.method`) has the last column too, but for
two values: its peak rate is fifteen times as high, as adapters learn in short runs at any size (Schulman et al., LoRA
Without Regret, 2025), and with little data it takes forty steps, not twenty, as it forgets less. One of thord's own has
5e-4.

Little data needs small batches: what a model learns from forty rows it learns in steps, not in rows. Beyond about
forty passes nothing is gained any more (Muennighoff et al., Scaling Data-Constrained Language Models, 2305.16264).
"""

import math
from dataclasses import dataclass
from typing import Literal

from engine.config.training import Method, TrainingSettings
from engine.variation import Variation

Start = Literal["nothing", "own", "imported"]
"""What a run goes on from: no version, one that thord trained from nothing, one whose weights came from elsewhere."""

MOST_ROWS_A_STEP, MOST_ROWS_AT_ONCE = 32, 8
_PART, _PART_OF_IMPORT = 3, 6
_FIRST_EPOCHS, _FIRST_EPOCHS_UNSEEN = 40.0, 12.0
_EPOCHS, _FEWEST_STEPS = 3.0, 40
_EPOCHS_OF_IMPORT, _FEWEST_STEPS_OF_IMPORT = 4.0, 20
_MOST_EPOCHS = 10.0
_SMALL_MODEL, _SMALL_RATE, _LARGE_RATE, _RATE_EXPONENT = 2e6, 1e-3, 3e-4, 1 / 3
_IMPORT, _IMPORT_RATE, _IMPORT_RATES = 135e6, 1e-4, (1e-5, 2e-4)
_IMPORT_TOLERANCE, _IMPORT_KL_WEIGHT = 0.05, 0.3
_FEWEST_BETWEEN, _FEWEST_BETWEEN_OF_IMPORT, _MOST_BETWEEN = 10, 20, 200
_ADAPTER_FACTOR, _ADAPTER_RATE = 15, 5e-4
_AS_EVER = Variation()


class Recipe(TrainingSettings):
    """``[training]`` with nothing left open. A run decides it once and keeps it."""

    method: Method = "full"
    epochs: float
    batch_size: int
    gradient_accumulation: int
    learning_rate: float
    validate_every: int
    kl_weight: float = 0.0
    validation_tolerance: float = 0.0
    """By what share validation may be above its lowest for later weights to count as the best all the same; not above
    that of the weights the run began with."""

    @property
    def rows_per_step(self) -> int:
        """Rows in an optimizer step, over all microbatches and ranks."""
        return self.batch_size * self.gradient_accumulation

    @property
    def validates_epochs(self) -> bool:
        """Whether the end of an epoch is validated, whatever ``validate_every`` says."""
        return self.validate_epochs or self.early_stopping_epochs > 0

    def steps(self, rows: int) -> int:
        """How many steps a run over so many rows takes."""
        return self.max_steps or max(1, math.ceil(self.epochs * rows / self.rows_per_step))


@dataclass(frozen=True)
class Task:
    """What a run is about.

    Attributes:
        rows: packed rows of ``training.sequence_length`` tokens to train on.
        validated: whether there is something to validate on.
        parameters: weights of the model.
        method: whether all of them learn, or an adapter.
    """

    start: Start
    rows: int
    validated: bool
    parameters: int
    method: Method = "full"


def decide(task: Task, settings: TrainingSettings, variation: Variation = _AS_EVER) -> Recipe:
    """The recipe for a task; what is set in ``settings`` stays as it is."""
    batch_size, accumulation = _batches(task, settings)
    steps_per_epoch = task.rows / (batch_size * accumulation)
    imported = task.start == "imported"
    rate = import_rate(task.parameters) if imported else peak_rate(task.parameters)
    if task.method == "lora":
        rate = _ADAPTER_FACTOR * rate if imported else _ADAPTER_RATE
    fewest_between = _FEWEST_BETWEEN_OF_IMPORT if imported else _FEWEST_BETWEEN
    chosen = {
        "method": task.method,
        "batch_size": batch_size,
        "gradient_accumulation": accumulation,
        "epochs": settings.epochs or _epochs(task, steps_per_epoch) * variation.length,
        "learning_rate": min(
            (settings.learning_rate or rate * variation.rate) * settings.learning_rate_multiplier, 1.0
        ),
        "learning_rate_multiplier": 1.0,
        "initial_minutes": settings.initial_minutes * variation.length,
        "validate_every": settings.validate_every or min(max(round(steps_per_epoch), fewest_between), _MOST_BETWEEN),
        "validation_tolerance": _IMPORT_TOLERANCE if imported else 0.0,
        "kl_weight": kl_weight(task.start, settings),
    }
    return Recipe.model_validate(settings.model_dump() | chosen)


def rows_a_step(rows: int, ranks: int = 1, part: int = _PART) -> int:
    """Rows in an optimizer step: a power of two near a ``part`` of the root of ``rows``, a multiple of ``ranks``."""
    power = 1 << max(0, math.floor(math.log2(max(1.0, math.sqrt(rows) / part))))
    return math.ceil(min(power, MOST_ROWS_A_STEP) / ranks) * ranks


def peak_rate(parameters: int) -> float:
    """The peak learning rate for a model of so many weights: smaller for larger ones."""
    rate = _SMALL_RATE * (_SMALL_MODEL / max(parameters, _SMALL_MODEL)) ** _RATE_EXPONENT
    return float(f"{max(rate, _LARGE_RATE):.2g}")


def import_rate(parameters: int) -> float:
    """The peak learning rate for an import of so many weights: by the root of its size."""
    lowest, highest = _IMPORT_RATES
    rate = min(max(_IMPORT_RATE * math.sqrt(_IMPORT / parameters), lowest), highest)
    return float(f"{rate:.2g}")


def kl_weight(start: Start, settings: TrainingSettings) -> float:
    """How much a run is held to the version that it goes on from: an import knows more than the data here tells it."""
    if settings.kl_weight is not None:
        return settings.kl_weight
    return _IMPORT_KL_WEIGHT if start == "imported" else 0.0


def is_open(task: Task, settings: TrainingSettings) -> bool:
    """Whether nobody set the length of a first training, so that ``initial_minutes`` bounds it."""
    return task.start == "nothing" and settings.epochs is None and settings.max_steps is None


def within(recipe: Recipe, task: Task, seconds_per_step: float) -> Recipe:
    """The recipe cut to ``initial_minutes``."""
    longest = max(1, int(recipe.initial_minutes * 60 / seconds_per_step))
    return recipe if recipe.steps(task.rows) <= longest else recipe.model_copy(update={"max_steps": longest})


def _batches(task: Task, settings: TrainingSettings) -> tuple[int, int]:
    """Rows at once, and how often that is a step; together they are a multiple of the ranks that share them."""
    ranks = settings.distributed.world_size
    if settings.batch_size is not None:
        return settings.batch_size, settings.gradient_accumulation or 1
    rows = rows_a_step(task.rows, ranks, _PART_OF_IMPORT if task.start == "imported" else _PART)
    if settings.gradient_accumulation is None:
        at_once = next(size for size in range(min(rows, MOST_ROWS_AT_ONCE), 0, -1) if rows % size == 0)
        return at_once, rows // at_once
    multiple = ranks // math.gcd(settings.gradient_accumulation, ranks)
    return math.ceil(
        min(rows / settings.gradient_accumulation, MOST_ROWS_AT_ONCE) / multiple
    ) * multiple, settings.gradient_accumulation


def _epochs(task: Task, steps_per_epoch: float) -> float:
    if task.start == "nothing" and task.validated:
        return _FIRST_EPOCHS
    if task.start == "nothing":
        return min(max(_FIRST_EPOCHS_UNSEEN, math.ceil(_FEWEST_STEPS / steps_per_epoch)), _FIRST_EPOCHS)
    imported = task.start == "imported"
    least = _EPOCHS_OF_IMPORT if imported else _EPOCHS
    steps = _FEWEST_STEPS_OF_IMPORT if imported and task.method == "full" else _FEWEST_STEPS
    return min(max(least, math.ceil(steps / steps_per_epoch)), _MOST_EPOCHS)

"""The epochs of a run: where they end, and what each came to. Pure functions of rows and steps.

An epoch ends with the step that takes its last row, and what else that step takes belongs to the next one. The last
epoch may be a part of one, where a run is cut to a number of steps or ends early.
"""

import math
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Epochs:
    """Where the epochs of a run lie. A row is a sample: one packed sequence.

    Attributes:
        rows: in an epoch.
        rows_per_step: over all microbatches and ranks.
        steps: of the whole run.
    """

    rows: int
    rows_per_step: int
    steps: int

    @property
    def total(self) -> int:
        """How many there are, the last perhaps in part."""
        return self.of(self.steps)

    def of(self, step: int) -> int:
        """The number, from 1, of the epoch that a step belongs to; where it ends several, of the last of them."""
        return max((step - 1) * self.rows_per_step // self.rows + 1, step * self.rows_per_step // self.rows)

    def ends(self, step: int) -> bool:
        """Whether an epoch ends with this step."""
        return step > 0 and step * self.rows_per_step // self.rows > (step - 1) * self.rows_per_step // self.rows

    def samples(self, step: int) -> int:
        """Rows taken in so many steps."""
        return step * self.rows_per_step


@dataclass(frozen=True)
class EpochFigures:
    """What an epoch came to. Losses are in nats per supervised token.

    Attributes:
        step: its last.
        samples: rows taken since the run began.
        train_loss: the mean over everything supervised in its steps; null where every one of them was skipped.
        validation_loss: the last measured in it; null where nothing was measured, or what was is no number.
        best_validation_loss: the lowest so far.
        without_improvement: epochs in a row, this one included, whose validations did not improve on the best.
        seconds: time spent in its steps.
    """

    epoch: int
    epochs: int
    step: int
    samples: int
    train_loss: float | None
    validation_loss: float | None
    best_validation_loss: float | None
    without_improvement: int
    seconds: float
    samples_per_second: float


@dataclass(frozen=True)
class EpochSoFar:
    """What is remembered of the epoch under way: a part of every checkpoint.

    Attributes:
        loss: summed over what is supervised.
        first_step: the steps that were taken before it, in ``began`` seconds.
        validations: how many were measured in it; one of them ``improved``.
        without_improvement: epochs in a row before it that did not.
    """

    loss: float = 0.0
    supervised: int = 0
    first_step: int = 0
    began: float = 0.0
    validations: int = 0
    validation_loss: float | None = None
    improved: bool = False
    without_improvement: int = 0

    @property
    def train_loss(self) -> float | None:
        """The mean over its steps; null before the first."""
        return self.loss / self.supervised if self.supervised else None

    def after_step(self, loss: float, supervised: int) -> "EpochSoFar":
        """With a step that was taken, of this mean loss over so many supervised tokens."""
        return replace(self, loss=self.loss + loss * supervised, supervised=self.supervised + supervised)

    def after_validation(self, loss: float, *, improved: bool) -> "EpochSoFar":
        """With a validation, which was or was not the best."""
        return replace(
            self,
            validations=self.validations + 1,
            validation_loss=loss if math.isfinite(loss) else None,
            improved=self.improved or improved,
        )

    def ended(
        self, epochs: Epochs, step: int, seconds: float, best_validation_loss: float | None
    ) -> tuple[EpochFigures, "EpochSoFar"]:
        """What it came to, and the next one before its first step.

        | validations in it      | epochs without improvement |
        | ---------------------- | -------------------------- |
        | one improved           | 0                          |
        | some, and none did     | one more                   |
        | none                   | as many as before          |
        """
        without = 0 if self.improved else self.without_improvement + (self.validations > 0)
        samples, taken = epochs.samples(step), seconds - self.began
        figures = EpochFigures(
            epoch=epochs.of(step),
            epochs=epochs.total,
            step=step,
            samples=samples,
            train_loss=self.train_loss,
            validation_loss=self.validation_loss,
            best_validation_loss=best_validation_loss,
            without_improvement=without,
            seconds=taken,
            samples_per_second=(samples - epochs.samples(self.first_step)) / taken if taken > 0 else 0.0,
        )
        return figures, EpochSoFar(first_step=step, began=seconds, without_improvement=without)

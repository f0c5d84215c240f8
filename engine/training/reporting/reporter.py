"""What a run says about itself while it goes, and to whom."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from engine.training.epochs import EpochFigures
from engine.training.reporting.inspection import Inspection


@dataclass(frozen=True)
class Figures:
    """One step as it is reported. Losses are in nats per supervised token, as everywhere.

    Attributes:
        loss: what was minimised.
        parts: what else the objective tells of it, by name, such as ``kl``.
        tokens: positions computed so far.
        epoch: the one that the step belongs to, from 1, of ``epochs``.
        samples: rows taken so far.
        epoch_loss: the mean over the epoch so far.
        epochs_without_improvement: epochs in a row that ended without a better validation.
        bits_per_character: the loss over the characters of the text, which tokenizers do not change.
        share_of_peak: operations of training as a share of what this machine does in products of the model's shapes.
        memory_bytes: of this process; on a GPU the most that was allocated there.
    """

    step: int
    steps: int
    loss: float
    learning_rate: float
    gradient_norm: float
    tokens: int
    tokens_per_second: float
    eta_seconds: float
    epoch: int = 0
    epochs: int = 0
    samples: int = 0
    samples_per_second: float = 0.0
    epoch_loss: float | None = None
    best_validation_loss: float | None = None
    epochs_without_improvement: int = 0
    parts: Mapping[str, float] = field(default_factory=dict)
    bits_per_character: float | None = None
    share_of_peak: float | None = None
    memory_bytes: int | None = None


@dataclass(frozen=True)
class FinalFigures:
    """What a run came to.

    Attributes:
        step: the last that was taken.
        best_step: of the weights that are published; null where nothing validates.
        early_stopped: it ended before its last step, because validation did not improve any more.
        test_loss: of the published weights, on what nothing was trained on or chosen by; null where there is no such.
        seconds: time spent in steps, over all attempts.
    """

    step: int
    best_step: int | None
    early_stopped: bool
    test_loss: float | None
    seconds: float


class Stopped(Exception):  # noqa: N818 - not an error: the reporter asked for it
    """The run was left at a step border, with a checkpoint to go on from."""


class Reporter(Protocol):
    """Who is told how a run goes, and who may end it."""

    def preparing(self, activity: str, done: int = 0, total: int = 0) -> None:
        """Something moves on that is no step: ``done`` of ``total``, 0 where that is not known."""
        ...

    def started(self, step: int, steps: int) -> None:
        """The loop begins at ``step``; what was reported of later steps did not happen."""
        ...

    def stepped(self, figures: Figures) -> None:
        """A step was taken."""
        ...

    def validated(self, step: int, loss: float, best: bool) -> None:
        """The validation set was measured after ``step`` steps."""
        ...

    def epoch_ended(self, figures: EpochFigures) -> None:
        """An epoch ended, or the run within one."""
        ...

    def ended(self, figures: FinalFigures) -> None:
        """The run came to its end, and what it learned was tested. Said again where the end was interrupted."""
        ...

    def inspected(self, step: int, inspection: Inspection) -> None:
        """A closer look was taken while ``step`` was, its gradients clipped and its weights not yet moved."""
        ...

    def stumbled(self, step: int, action: str, loss: float, gradient_norm: float) -> None:
        """A step was bad, and this is what was decided: to skip it, roll back, give up, or take smaller microbatches.

        Loss and norm are not a number where memory ran out before they were known.
        """
        ...

    def stopping(self) -> bool:
        """Whether the run should checkpoint and leave now."""
        ...


class Silent:
    """A reporter that says nothing and never stops, for runs from Python."""

    def preparing(self, activity: str, done: int = 0, total: int = 0) -> None:
        """As `Reporter`."""

    def started(self, step: int, steps: int) -> None:
        """As `Reporter`."""

    def stepped(self, figures: Figures) -> None:
        """As `Reporter`."""

    def validated(self, step: int, loss: float, best: bool) -> None:
        """As `Reporter`."""

    def epoch_ended(self, figures: EpochFigures) -> None:
        """As `Reporter`."""

    def ended(self, figures: FinalFigures) -> None:
        """As `Reporter`."""

    def inspected(self, step: int, inspection: Inspection) -> None:
        """As `Reporter`."""

    def stumbled(self, step: int, action: str, loss: float, gradient_norm: float) -> None:
        """As `Reporter`."""

    def stopping(self) -> bool:
        """False: a silent run is never stopped."""
        return False

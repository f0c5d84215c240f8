"""The loop: batches, accumulation, autocast, clipping, schedule, guard, validation, checkpoints, reporting.

What a step does follows from weights, optimizer, `Progress`, settings and data alone, so a run that goes on from a
checkpoint ends with the weights of one that was never stopped: bit for bit, on one machine's CPU.
"""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from engine.config import TrainingSettings
from engine.data.batches import Batch, Rows
from engine.device import Placement
from engine.models.base import LanguageModel
from engine.models.registry import module
from engine.training.checkpoint import Checkpoint, Checkpoints, Progress
from engine.training.guard import RATE_AFTER_ROLL_BACK, DivergedError, judge
from engine.training.objectives import Objective
from engine.training.optim import AdamW, learning_rate

_SEED_STRIDE = 1_000_003
"""A prime: seed and step together give each step a dropout seed of its own."""
_SCALE_GROWS_AFTER = 1000
_SPEED_MEMORY = 0.9
_FP16_SCALE = 65_536.0


@dataclass(frozen=True)
class Figures:
    """One step as it is reported. The loss is in nats per supervised token, as everywhere."""

    step: int
    steps: int
    loss: float
    learning_rate: float
    gradient_norm: float
    tokens: int
    tokens_per_second: float
    eta_seconds: float


class Stopped(Exception):  # noqa: N818 - no error: the reporter asked for it
    """The run was left at a step border, with a checkpoint to go on from."""


class Reporter(Protocol):
    """Who is told how a run goes, and who may end it."""

    def preparing(self, activity: str) -> None:
        """Something moves on before the loop begins."""
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

    def stumbled(self, step: int, action: str, loss: float, gradient_norm: float) -> None:
        """A step was bad, and this is what the guard decided."""
        ...

    def stopping(self) -> bool:
        """Whether the run should checkpoint and leave now."""
        ...


class Silent:
    """A reporter that says nothing and never stops, for runs from Python."""

    def preparing(self, activity: str) -> None:
        """As `Reporter`."""

    def started(self, step: int, steps: int) -> None:
        """As `Reporter`."""

    def stepped(self, figures: Figures) -> None:
        """As `Reporter`."""

    def validated(self, step: int, loss: float, best: bool) -> None:
        """As `Reporter`."""

    def stumbled(self, step: int, action: str, loss: float, gradient_norm: float) -> None:
        """As `Reporter`."""

    def stopping(self) -> bool:
        """Never."""
        return False


@dataclass(frozen=True)
class Outcome:
    """What a run came to; ``weights`` are the best by validation, where there was one, else the last."""

    progress: Progress
    weights: Mapping[str, Tensor]


def total_steps(rows: int, settings: TrainingSettings) -> int:
    """How many steps a run over so many rows takes."""
    return settings.max_steps or max(
        1, math.ceil(settings.epochs * rows / (settings.batch_size * settings.accumulation))
    )


class Loop:
    """One training run over packed rows; `run` is the story, the rest its parts."""

    def __init__(
        self,
        model: LanguageModel,
        objective: Objective,
        rows: Rows,
        validation: Rows | None,
        settings: TrainingSettings,
        placement: Placement,
        checkpoints: Checkpoints,
        reporter: Reporter,
    ) -> None:
        self._model = model
        self._module = module(model).to(placement.device)
        self._objective = objective
        self._rows = rows
        self._validation = validation
        self._settings = settings
        self._placement = placement
        self._checkpoints = checkpoints
        self._reporter = reporter
        self._optimizer = AdamW(self._module, settings)
        self._progress = Progress()
        self._steps = total_steps(len(rows), settings)
        self._step_seconds = 0.0
        self._step_tokens = 0.0

    def run(self) -> Outcome:
        """Train to the end.

        Raises:
            Stopped: the reporter asked for it.
            DivergedError: the guard gave up.
            OSError: a checkpoint could not be written; the earlier ones are untouched.
        """
        settings, reporter = self._settings, self._reporter
        self._start()
        reporter.started(self._progress.step, self._steps)
        while not self._progress.finished:
            progress = self._progress
            if reporter.stopping():
                self._save()
                raise Stopped

            began = time.perf_counter()
            torch.manual_seed(settings.seed * _SEED_STRIDE + progress.step)
            batches = self._rows.of_step(progress.step, settings.seed, settings.batch_size, settings.accumulation)
            weight = sum(self._objective.weight(batch) for batch in batches)
            loss = self._backward(batches, weight)
            norm = self._clip()
            rate = learning_rate(progress.step, self._steps, settings)
            rate *= RATE_AFTER_ROLL_BACK**progress.health.roll_backs
            if not math.isfinite(norm) and progress.loss_scale > 1.0:
                progress.loss_scale /= 2  # fp16 overflowed, which is no fault of the step: again, with less
                self._module.zero_grad()
                continue
            action, progress.health = judge(progress.health, loss, norm, settings.max_bad_steps)
            if action != "take":
                reporter.stumbled(progress.step, action, loss, norm)
            if action == "give up":
                raise DivergedError(
                    f"step {progress.step} has loss {loss:.4g} and gradient norm {norm:.4g}, and going back to a lower "
                    f"rate {progress.health.roll_backs} times did not help; lower training.learning_rate"
                )
            if action == "roll back":
                self._roll_back()
                continue
            if action == "take":
                self._optimizer.step(rate)
                progress.loss = loss
            self._module.zero_grad()

            progress.step += 1
            progress.supervised += weight
            self._count_time(sum(batch.tokens for batch in batches), time.perf_counter() - began)
            if action == "take":
                reporter.stepped(self._figures(loss, rate, norm))
            last = progress.step >= self._steps
            improved = (last or progress.step % settings.validate_every == 0) and self._validate()
            progress.finished = last or 0 < settings.early_stopping_patience <= progress.worse
            if improved or progress.finished or progress.step % settings.checkpoint_every == 0:
                progress.fallback_step = progress.step
                self._save()
        return Outcome(self._progress, self._best_weights())

    def _start(self) -> None:
        """Go on from the newest whole checkpoint, or write the first one."""
        newest = self._checkpoints.latest()
        if newest:
            self._restore(newest)
        else:
            self._progress.loss_scale = _FP16_SCALE if self._placement.dtype == torch.float16 else 1.0
            self._validate()
            self._save()

    def _restore(self, checkpoint: Checkpoint) -> None:
        self._module.load_state_dict(checkpoint.weights)
        self._optimizer.restore(checkpoint.optimizer)
        self._progress = checkpoint.progress

    def _roll_back(self) -> None:
        """Return to the last checkpoint that would be there had the run never been stopped; remember why."""
        health = self._progress.health
        self._module.zero_grad()
        self._restore(self._checkpoints.load(self._progress.fallback_step))
        self._progress.health = health
        self._reporter.started(self._progress.step, self._steps)

    def _backward(self, batches: list[Batch], weight: int) -> float:
        """Gradients of the mean loss over everything supervised in all microbatches; the loss."""
        self._module.train()
        scale = self._progress.loss_scale / weight
        total = torch.zeros((), device=self._placement.device)
        for batch in batches:
            with self._autocast():
                total += self._objective.backward(self._model, batch.to(self._placement.device), scale)["loss"]
        return total.item() / weight

    def _clip(self) -> float:
        """Bring gradients to their true scale, then under the norm allowed; the norm before."""
        if self._progress.loss_scale != 1.0:
            for weight in self._module.parameters():
                if weight.grad is not None:
                    weight.grad /= self._progress.loss_scale
        return torch.nn.utils.clip_grad_norm_(self._module.parameters(), self._settings.clip).item()

    def _validate(self) -> bool:
        """Measure the validation set; whether it is the best so far."""
        if self._validation is None:
            return False
        self._module.eval()
        total, weight = torch.zeros((), device=self._placement.device), 0
        for batch in self._validation.in_order(self._settings.batch_size):
            with self._autocast():
                total += self._objective.measure(self._model, batch.to(self._placement.device))["loss"]
            weight += self._objective.weight(batch)
        progress, loss = self._progress, total.item() / weight
        best = math.isfinite(loss) and (progress.best_validation_loss is None or loss < progress.best_validation_loss)
        progress.validation_loss = loss
        progress.worse = 0 if best else progress.worse + 1
        if best:
            progress.best_validation_loss, progress.best_step = loss, progress.step
        self._reporter.validated(progress.step, loss, best)
        return best

    def _save(self) -> None:
        self._checkpoints.save(self._module.state_dict(), self._optimizer.state(), self._progress)

    def _best_weights(self) -> Mapping[str, Tensor]:
        best = self._progress.best_step
        return (
            self._module.state_dict() if best in (None, self._progress.step) else self._checkpoints.load(best).weights
        )

    def _autocast(self) -> torch.autocast:
        dtype = self._placement.dtype
        return torch.autocast(self._placement.device.type, dtype, enabled=dtype != torch.float32)

    def _count_time(self, tokens: int, seconds: float) -> None:
        """Totals, and running means that follow the speed of now."""
        self._progress.tokens += tokens
        self._progress.seconds += seconds
        memory = _SPEED_MEMORY if self._step_seconds else 0.0
        self._step_seconds = memory * self._step_seconds + (1 - memory) * seconds
        self._step_tokens = memory * self._step_tokens + (1 - memory) * tokens

    def _figures(self, loss: float, rate: float, norm: float) -> Figures:
        return Figures(
            step=self._progress.step,
            steps=self._steps,
            loss=loss,
            learning_rate=rate,
            gradient_norm=norm,
            tokens=self._progress.tokens,
            tokens_per_second=self._step_tokens / self._step_seconds,
            eta_seconds=(self._steps - self._progress.step) * self._step_seconds,
        )

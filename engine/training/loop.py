"""The loop: batches, accumulation, autocast, clipping, schedule, guard, validation, checkpoints, reporting.

What a step does follows from weights, optimizer, `Progress`, settings and data alone, so a run that goes on from a
checkpoint ends with the weights of one that was never stopped: bit for bit, on one machine's CPU.
"""

import functools
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Generic

import torch
from torch import Tensor

from engine.device import Placement
from engine.models import registry
from engine.models.base import LanguageModel
from engine.training import activation_checkpointing, compiling, measuring, microbatch
from engine.training.checkpoint import Checkpoint, Checkpoints, Progress
from engine.training.ema import Average, averages_in
from engine.training.epochs import Epochs
from engine.training.guard import RATE_AFTER_ROLL_BACK, DivergedError, judge
from engine.training.objectives.base import B, Objective, Source
from engine.training.optimizers import registry as optimizers
from engine.training.recipe import Recipe
from engine.training.reporting import inspection
from engine.training.reporting.inspection import Examples, Inspection, Prediction
from engine.training.reporting.reporter import Figures, Reporter, Stopped
from engine.training.schedule import branches_at, learning_rate
from engine.training.trained_weights import TrainedWeights
from engine.training.world import ALONE, World

_SEED_STRIDE = 1_000_003
_RANK_STRIDE = 7_919_000_000_033
"""Far beyond: seed and step together give each step a dropout seed of its own, and the rank each rank."""
_SEED_BITS = (1 << 64) - 1
_SPEED_MEMORY = 0.9
_FP16_SCALE, _FP16_SCALE_GROWS_AFTER = 65_536.0, 1000


@dataclass(frozen=True)
class Outcome:
    """What a run came to.

    Attributes:
        weights: the best by validation, where there was one, else the last.
        trunk: what the next cycle is to go on from, where the schedule has a decay that is to be left out.
    """

    progress: Progress
    weights: Mapping[str, Tensor]
    trunk: Mapping[str, Tensor] | None


@dataclass(frozen=True)
class _Sums:
    """What the microbatches of a step add up to: means over what is supervised, and counts."""

    loss: float
    parts: Mapping[str, float]
    supervised: int
    tokens: int


def is_best(loss: float, progress: Progress, tolerance: float) -> bool:
    """Whether weights that validate at ``loss`` are the best so far; see `Recipe.validation_tolerance`."""
    lowest = progress.best_validation_loss
    if lowest is None or not math.isfinite(loss):
        return math.isfinite(loss)
    return loss < (lowest * (1.0 + tolerance) if progress.best_step else lowest)


class Loop(Generic[B]):
    """One training run over the rows of a source; `run` is the story, the rest its parts."""

    def __init__(
        self,
        model: LanguageModel,
        objective: Objective[B],
        rows: Source[B],
        validation: Source[B] | None,
        settings: Recipe,
        placement: Placement,
        checkpoints: Checkpoints,
        reporter: Reporter,
        examples: Examples | None = None,
        world: World = ALONE,
    ) -> None:
        self._model = model
        self._module = registry.module(model).to(placement.device)
        blocks = registry.blocks(model)
        if settings.compile:
            compiling.apply(blocks, placement.device)
        activation_checkpointing.apply(blocks, settings.activation_checkpointing)
        self._world = world
        self._first = TrainedWeights(self._module).part()  # of an adapter
        world.spread(self._module, blocks)
        self._objective = objective
        self._rows = rows
        self._validation = validation
        self._settings = settings
        self._placement = placement
        self._checkpoints = checkpoints
        self._reporter = reporter
        self._examples = examples
        self._trained = TrainedWeights(self._module)
        self._remember_nothing()
        self._progress = Progress()
        self._steps = settings.steps(len(rows))
        self._epochs = Epochs(len(rows), settings.rows_per_step, self._steps)
        self._branches_at = branches_at(self._steps, settings)
        self._step_seconds = 0.0
        self._step_tokens = 0.0

    def run(self) -> Outcome:
        """Train to the end.

        Raises:
            Stopped: the reporter asked for it.
            DivergedError: the guard gave up.
            OutOfMemoryError: there is not enough for a single row.
            OSError: a checkpoint could not be written; the earlier ones are untouched.
        """
        settings, reporter = self._settings, self._reporter
        self._start()
        reporter.started(self._progress.step, self._steps)
        while not self._progress.finished:
            progress = self._progress
            if self._world.any(reporter.stopping()):
                self._save()
                raise Stopped

            began = time.perf_counter()
            sums = self._backward_if_there_is_memory()
            if sums is None:
                continue
            self._world.reduce_gradients()
            norm = self._clip()
            if self._lower_scale(norm):
                continue
            rate = learning_rate(progress.step, self._steps, settings)
            rate *= RATE_AFTER_ROLL_BACK**progress.health.roll_backs
            action, progress.health = judge(progress.health, sums.loss, norm, settings.max_bad_steps)
            if action != "take":
                reporter.stumbled(progress.step, action, sums.loss, norm)
            if action == "give up":
                raise DivergedError(
                    f"step {progress.step} has loss {sums.loss:.4g} and gradient norm {norm:.4g}, and going back to a "
                    f"lower rate {progress.health.roll_backs} times did not help; lower training.learning_rate"
                )
            if action == "roll back":
                self._roll_back()
                continue
            if action == "take":
                self._look()
                self._checkpoints.await_copies()
                self._optimizer.step(rate)
                self._average.follow(progress.step)
                progress.loss = sums.loss
                progress.epoch = progress.epoch.after_step(sums.loss, sums.supervised)
            self._trained.forget_gradients()

            progress.step += 1
            progress.supervised += sums.supervised
            self._count_time(sums.tokens, time.perf_counter() - began)
            if action == "take":
                reporter.stepped(self._figures(sums, rate, norm))
            improved = self._validation_is_due() and self._validate()
            branches = progress.step == self._branches_at
            if branches:
                progress.trunk_step = progress.step
            self._end_epoch()
            is_due = branches or self._checkpoint_is_due()
            if improved or progress.finished or is_due:
                weights_only = not is_due and bool(self._first)
                progress.fallback_step = progress.fallback_step if weights_only else progress.step
                self._save(weights_only=weights_only)
        return Outcome(self._progress, self._best_weights(), self._trunk())

    def test(self, rows: Source[B], weights: Mapping[str, Tensor]) -> float:
        """The mean loss of ``weights``, which `run` gave, over rows that it did not see. The model keeps them.

        Raises:
            Stopped: the reporter asked for it; the run is at its end, and the next attempt comes here at once.
        """
        if self._world.any(self._reporter.stopping()):
            raise Stopped
        self._trained.restore(self._world.own_part(weights))
        return self._mean_loss(rows, "testing")

    def _start(self) -> None:
        """Go on from the newest checkpoint, or from the beginning, which is written where it is a whole model."""
        if newest := self._checkpoints.latest():
            self._restore(newest)
        else:
            self._measure_the_beginning()
            if not self._first:
                self._save()

    def _measure_the_beginning(self) -> None:
        self._progress = Progress(loss_scale=_FP16_SCALE if self._placement.dtype == torch.float16 else 1.0)
        self._validate()

    def _remember_nothing(self) -> None:
        """Begin with an optimizer and averages that have seen no step."""
        settings, named = self._settings, self._trained.by_name
        self._optimizer = optimizers.make(named, self._model.family.embeddings, settings, self._placement.dtype)
        self._average = Average(named, settings.ema_decay)

    def _restore(self, checkpoint: Checkpoint) -> None:
        self._trained.restore(self._world.own_part(checkpoint.weights))
        state = self._world.own_part(checkpoint.optimizer)
        if not checkpoint.progress.weights_only:
            self._optimizer.restore(state)
        self._average.restore(state)
        self._progress = checkpoint.progress

    def _roll_back(self) -> None:
        """Return to the last checkpoint that would be there had the run never been stopped; remember why."""
        health, halvings = self._progress.health, self._progress.halvings
        self._trained.forget_gradients()
        if self._progress.fallback_step or not self._first:
            self._restore(self._checkpoints.load(self._progress.fallback_step))
        else:
            self._trained.restore(self._world.own_part(self._first))
            self._remember_nothing()
            self._measure_the_beginning()
        self._progress.health, self._progress.halvings = health, halvings
        self._reporter.started(self._progress.step, self._steps)

    def _backward_if_there_is_memory(self) -> _Sums | None:
        """The step's gradients; null where memory ran out on a rank: the same step again, in smaller microbatches.

        Raises:
            OutOfMemoryError: microbatches have one row already.
            ShortOfMemoryError: as `World.any_short`.
        """
        sums, short = None, False
        weight, tokens, batches = self._batches()
        try:
            sums = self._backward(batches, weight)
        except (RuntimeError, MemoryError) as error:
            microbatch.check_smaller_helps(error, self._microbatch(), self._settings)
            error.__traceback__ = None  # its frames hold the tensors
            short = True
        if self._world.any_short(short, self._progress.halvings) or sums is None:
            self._use_less_memory()
            return None
        totals = dict(zip(sums, self._world.sum(*sums.values()), strict=True))
        loss = totals.pop("loss") / weight
        return _Sums(loss, {name: total / weight for name, total in totals.items()}, weight, tokens)

    def _batches(self) -> tuple[int, int, Sequence[B]]:
        """What is supervised and what is computed in the step, over all ranks, and this rank's microbatches."""
        settings, world = self._settings, self._world
        rows, step = settings.rows_per_step, self._progress.step
        batches = self._rows.of_step(step, settings.seed, rows, self._microbatch(), world.rank, world.size)
        weight, tokens = world.sum(
            sum(self._objective.weight(batch) for batch in batches), sum(batch.tokens for batch in batches)
        )
        return int(weight), int(tokens), batches

    def _backward(self, batches: Sequence[B], weight: int) -> dict[str, float]:
        """Add gradients, by the mean loss over everything supervised in the step; this rank's sums."""
        settings, world = self._settings, self._world
        seed = settings.seed * _SEED_STRIDE + self._progress.step + world.rank * _RANK_STRIDE
        torch.manual_seed(seed & _SEED_BITS)
        self._module.train()
        totals: dict[str, Tensor] = {}
        for batch in batches:
            with self._placement.autocast():
                on_device = batch.to(self._placement.device)
                scale = self._progress.loss_scale * world.size / weight  # ranks will take the mean
                sums = self._objective.backward(self._model, on_device, scale)
            totals = {name: totals.get(name, 0.0) + value for name, value in sums.items()}
        return {name: total.item() for name, total in totals.items()}

    def _microbatch(self) -> int:
        return microbatch.size(self._settings.batch_size, self._progress.halvings)

    def _use_less_memory(self) -> None:
        """Smaller microbatches, from now on."""
        self._trained.forget_gradients()
        microbatch.free_memory(self._placement.device)
        self._progress.halvings += 1
        self._reporter.stumbled(self._progress.step, "halve the microbatch", math.nan, math.nan)

    def _lower_scale(self, norm: float) -> bool:
        """Whether fp16 overflowed: repeat the step with a smaller scale, it is not at fault. Else the scale grows."""
        progress = self._progress
        if progress.loss_scale <= 1.0:
            return False
        overflowed = not math.isfinite(norm)
        progress.scale_age += 1
        if overflowed or progress.scale_age >= _FP16_SCALE_GROWS_AFTER:
            progress.loss_scale *= 0.5 if overflowed else 2.0
            progress.scale_age = 0
        if overflowed:
            self._trained.forget_gradients()
        return overflowed

    def _clip(self) -> float:
        """Bring gradients to their true scale, then under the norm allowed; the norm before."""
        norm = self._trained.clip(self._settings.max_grad_norm, self._progress.loss_scale)
        return self._world.gathered(norm).item()

    def _validate(self) -> bool:
        """Measure the validation set; whether these are the best weights so far."""
        if self._validation is None:
            return False
        self._checkpoints.await_copies()
        with self._average.in_place():
            loss = self._mean_loss(self._validation, "validating")
        progress = self._progress
        best = is_best(loss, progress, self._settings.validation_tolerance)
        lowest = progress.best_validation_loss
        progress.validation_loss = loss
        progress.worse = 0 if best else progress.worse + 1
        if best:
            progress.best_validation_loss = loss if lowest is None else min(loss, lowest)
            progress.best_step = progress.step
        if progress.step:
            progress.epoch = progress.epoch.after_validation(loss, improved=best)
        self._reporter.validated(progress.step, loss, best)
        return best

    def _validation_is_due(self) -> bool:
        settings, step = self._settings, self._progress.step
        ends_epoch = settings.validates_epochs and self._epochs.ends(step)
        return ends_epoch or step >= self._steps or step % settings.validate_every == 0

    def _end_epoch(self) -> None:
        """See whether the run is at its end, and report the epoch where it ends, or the run does."""
        progress, settings = self._progress, self._settings
        ends = self._epochs.ends(progress.step)
        figures, following = progress.epoch.ended(
            self._epochs, progress.step, progress.seconds, progress.best_validation_loss
        )
        progress.early_stopped = progress.step < self._steps and (
            0 < settings.early_stopping_patience <= progress.worse
            or (ends and 0 < settings.early_stopping_epochs <= figures.without_improvement)
        )
        progress.finished = progress.early_stopped or progress.step >= self._steps
        if ends or progress.finished:
            progress.epoch = following
            self._reporter.epoch_ended(figures)

    def _mean_loss(self, rows: Source[B], activity: str) -> float:
        return measuring.mean_loss(
            self._model,
            self._objective,
            rows,
            self._microbatch(),
            self._placement,
            self._world,
            functools.partial(self._reporter.preparing, activity),
        )

    def _look(self) -> None:
        """Take a closer look in the first step, every so many, and in the last; it changes nothing."""
        step, every = self._progress.step + 1, self._settings.inspect_every
        if not every or (step % every and step not in (1, self._steps)):
            return
        examples: list[Prediction] = []
        if self._examples is not None:
            self._module.eval()
            with self._placement.autocast():
                examples = self._examples.predict(self._model, self._placement.device)
            self._world.measured()
        histograms = inspection.histograms(self._trained.by_name) if self._world.whole else {}
        self._reporter.inspected(step, Inspection(histograms, examples))

    def _checkpoint_is_due(self) -> bool:
        settings, step = self._settings, self._progress.step
        ends_epoch = settings.keep_epochs and self._epochs.ends(step)
        return ends_epoch or step % settings.checkpoint_every == 0

    def _save(self, *, weights_only: bool = False) -> None:
        """Write a checkpoint; ``weights_only``: only what is published if it stays the best."""
        state = self._average.state() if weights_only else self._optimizer.state() | self._average.state()
        self._checkpoints.save(self._trained.state(), state, replace(self._progress, weights_only=weights_only))

    def _best_weights(self) -> Mapping[str, Tensor]:
        """Those that were validated: the averages, where there are any."""
        best = self._progress.best_step
        if best == 0 and self._first:
            return self._first
        if best in (None, self._progress.step) and self._world.whole:
            return self._trained.state() | averages_in(self._average.state())
        checkpoint = self._checkpoints.load(self._progress.step if best is None else best)
        return checkpoint.weights | averages_in(checkpoint.optimizer)

    def _trunk(self) -> Mapping[str, Tensor] | None:
        step = self._progress.trunk_step
        return None if step is None else self._checkpoints.load(step).weights

    def _count_time(self, tokens: int, seconds: float) -> None:
        """Totals, and running means that follow the speed of now."""
        self._progress.tokens += tokens
        self._progress.seconds += seconds
        memory = _SPEED_MEMORY if self._step_seconds else 0.0
        self._step_seconds = memory * self._step_seconds + (1 - memory) * seconds
        self._step_tokens = memory * self._step_tokens + (1 - memory) * tokens

    def _figures(self, sums: _Sums, rate: float, norm: float) -> Figures:
        progress, epochs = self._progress, self._epochs
        return Figures(
            step=progress.step,
            steps=self._steps,
            loss=sums.loss,
            learning_rate=rate,
            gradient_norm=norm,
            tokens=progress.tokens,
            tokens_per_second=self._step_tokens / self._step_seconds,
            eta_seconds=(self._steps - progress.step) * self._step_seconds,
            epoch=epochs.of(progress.step),
            epochs=epochs.total,
            samples=epochs.samples(progress.step),
            samples_per_second=self._settings.rows_per_step / self._step_seconds,
            epoch_loss=progress.epoch.train_loss,
            best_validation_loss=progress.best_validation_loss,
            epochs_without_improvement=progress.epoch.without_improvement,
            parts=sums.parts,
        )

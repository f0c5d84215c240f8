"""The trainer: carries out one run and publishes what was learned. Whatever it has done is found done when repeated.

It also publishes models from elsewhere, being the one who writes versions.

Torch is imported after the hello, while heartbeats go on.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from pydantic import ValidationError

from control.paths import Paths
from daemon import log
from daemon.messages import Failure, Fold, Import, MakeTokenizer, Reload, Train, Trained, TrainProgress
from daemon.settings import faults
from daemon.settings.sections import Tables
from daemon.workers import runtime
from daemon.workers.phases import Phases
from daemon.workers.runtime import Channel
from daemon.workers.trainer.wandb_process import WandbProcess
from engine import memory
from engine.config.model import ModelSettings
from engine.config.tokenizer import TokenizerSettings
from engine.config.training import TrainingSettings

if TYPE_CHECKING:
    from engine.manifest import VersionManifest
    from engine.training.epochs import EpochFigures
    from engine.training.reporting.inspection import Inspection
    from engine.training.reporting.reporter import Figures, FinalFigures, Reporter
    from engine.training.spec import RunPaths, RunSpec

    Learn = Callable[[RunSpec, RunPaths, Reporter], VersionManifest]

_PROGRESS_SECONDS = 0.5
_SEEDS = 1 << 64
_logger = log.get(__name__)


def main() -> None:
    """Carry out commands until asked to stop."""
    memory.keep_freed_memory()
    context = runtime.start()
    channel, settings = context.channel, context.settings
    if settings.training.distributed.world_size == 1:
        channel.advance("loading torch")
        with runtime.loading():
            from engine.training import run  # noqa: F401 - the heavy part, before the first command is due

    channel.idle()
    channel.ready()
    while not channel.stopping.is_set():
        command = channel.commands.get()
        if isinstance(command, Train):
            with _logged(command, context.paths):
                if _world_size(command, settings) > 1:
                    from daemon.workers.trainer import launcher

                    launcher.train(command, _training(command, settings).distributed, context.paths, channel)
                else:
                    train(command, settings, context.paths, channel)
            channel.idle()
        elif isinstance(command, MakeTokenizer):
            from daemon.workers.trainer import tokenizer

            tokenizer.carry_out(command, settings, context.paths, channel)
            channel.idle()
        elif isinstance(command, Import | Fold):
            from daemon.workers.trainer import imports

            imports.carry_out(command, context.paths, channel)
            channel.idle()
        elif isinstance(command, Reload):
            settings = context.reread_settings()


@contextlib.contextmanager
def _logged(command: Train, paths: Paths) -> Iterator[None]:
    """Lines say what they belong to; those of a job are in a log of its own too."""
    with contextlib.ExitStack() as stack:
        if command.job is not None:
            stack.enter_context(log.also_to(paths.job_log(command.job)))
        about = {"cycle": command.cycle} if command.job is None else {"job": command.job}
        stack.enter_context(log.bound(**about, version=command.version))
        yield


def train(command: Train, settings: Tables, paths: Paths, channel: Channel, learn: "Learn | None" = None) -> bool:
    """Answer with what was trained, or with what stood in its way. Without an answer where asked to stop.

    False where it failed. ``learn`` takes the place of `engine.training.run.learn`, where several processes train.
    """
    from torch import OutOfMemoryError

    from engine.artifacts import ArtifactError
    from engine.device import ImpossiblePlacementError
    from engine.training import run
    from engine.training.activation_checkpointing import NoBlocksError
    from engine.training.dataset import NothingToLearnError
    from engine.training.guard import DivergedError
    from engine.training.reporting.reporter import Stopped
    from engine.training.world import ShortOfMemoryError

    _logger.info("training begins", attempt=command.attempt, base=command.base)
    places = _places(command, paths)
    wandb = WandbProcess(settings.integrations.wandb, places.folder, paths.log("wandb"))
    try:
        plan = _plan(command, settings)
        report = _Report(command, channel, _training(command, settings).log_every, wandb)
        with contextlib.closing(wandb):
            manifest = (learn or run.learn)(plan, places, report)
    except Stopped:
        _logger.info("training stopped at a checkpoint, thord asked for it")
    except ValidationError as error:
        return _fail(command, channel, faults.of_training(error), retry=False)
    except DivergedError as error:
        return _fail(command, channel, str(error), retry=False, diverged=True)
    except (
        NothingToLearnError,
        run.ImpossiblePlanError,
        run.UnmovedError,
        ArtifactError,
        ImpossiblePlacementError,
        NoBlocksError,
    ) as error:
        return _fail(command, channel, str(error), retry=False)
    except FileNotFoundError as error:
        return _fail(command, channel, f"{error.filename} is missing", retry=False)
    except (OutOfMemoryError, ShortOfMemoryError, MemoryError) as error:
        return _fail(command, channel, str(error) or "out of memory", retry=True, out_of_memory=True)
    except OSError as error:
        return _fail(command, channel, str(error), retry=True)
    else:
        _logger.info("version published", parameters=manifest.parameters, **manifest.metrics)
        channel.send(Trained(to=command.id, version=manifest.version))
    return True


def _fail(
    command: Train,
    channel: Channel,
    reason: str,
    *,
    retry: bool,
    diverged: bool = False,
    out_of_memory: bool = False,
) -> bool:
    _logger.error("training failed", reason=reason, retry=retry)
    channel.send(Failure(to=command.id, reason=reason, retry=retry, diverged=diverged, out_of_memory=out_of_memory))
    return False


def _plan(command: Train, settings: Tables) -> "RunSpec":
    """The settings of this run: the service's, with what was asked differently.

    Raises:
        ValidationError: a key or value of ``[training]`` that does not exist or is not allowed.
    """
    from engine.training.spec import RunSpec

    training = _training(command, settings)
    seed = (training.seed + command.variation.seed + _SEEDS // 2) % _SEEDS - _SEEDS // 2
    lora = training.lora
    if lora.quantization is None:  # an adapter learns beside the base that serves
        lora = lora.model_copy(update={"quantization": settings.inference.quantization})
    log_every = 1 if settings.integrations.wandb.enabled else training.log_every  # it is told every step
    training = training.model_copy(update={"seed": seed, "lora": lora, "log_every": log_every})
    model = ModelSettings.model_validate(settings.model.model_dump() | command.model)
    tokenizer = TokenizerSettings.model_validate(settings.tokenizer.model_dump() | command.tokenizer)
    return RunSpec(
        cycle=command.cycle,
        job=command.job,
        version=command.version,
        base=command.base,
        model=model,
        tokenizer=tokenizer,
        training=training,
        tasks=settings.tasks,
        settings=settings.model_copy(update={"training": training, "model": model, "tokenizer": tokenizer}).model_dump(
            mode="json"
        ),
        variation=command.variation,
    )


def _training(command: Train, settings: Tables) -> TrainingSettings:
    """``[training]`` with what this run was asked to do differently.

    Raises:
        ValidationError: as `_plan`.
    """
    return TrainingSettings.model_validate(settings.training.model_dump() | command.overrides)


def _world_size(command: Train, settings: Tables) -> int:
    """How many processes are to train; where the settings are wrong, one is enough to say so."""
    try:
        return _training(command, settings).distributed.world_size
    except ValidationError:
        return 1


def _places(command: Train, paths: Paths) -> "RunPaths":
    from engine.training.spec import RunPaths

    if command.job is not None:
        folder, snapshot = paths.job_run(command.job), paths.job_snapshot(command.job)
    elif command.cycle is not None:
        folder, snapshot = paths.run_folder(command.cycle), paths.snapshot(command.cycle)
    else:
        raise ValueError("a run belongs to a cycle or to a job")
    return RunPaths(
        folder=folder,
        snapshot=snapshot,
        base=None if command.base is None else paths.version(command.base),
        target=paths.version(command.version),
    )


class _Report:
    """Passes a run's figures on to the supervisor, not too often, and every so many steps to the log."""

    def __init__(self, command: Train, channel: Channel, log_every: int, wandb: WandbProcess) -> None:
        self._wandb = wandb
        self._cycle, self._job = command.cycle, command.job
        self._channel = channel
        self._log_every = log_every
        self._validation_loss: float | None = None
        self._sent_at = 0.0
        self._phases = Phases(channel, command.id)

    def preparing(self, activity: str, done: int = 0, total: int = 0) -> None:
        """Show that something moves, and how far."""
        self._phases.advance(activity, done, total)

    def started(self, step: int, steps: int) -> None:
        """Log where the loop begins; its figures are there to be followed from now on."""
        self._wandb.start()
        _logger.info("training steps", first=step, last=steps)

    def stepped(self, figures: "Figures") -> None:
        """Send and log figures, the last in any case."""
        self._channel.advance(f"step {figures.step} of {figures.steps}")
        now, last = time.monotonic(), figures.step == figures.steps
        if last or now - self._sent_at >= _PROGRESS_SECONDS:
            self._sent_at = now
            self._channel.send(
                TrainProgress(
                    cycle=self._cycle,
                    job=self._job,
                    step=figures.step,
                    steps=figures.steps,
                    loss=figures.loss,
                    learning_rate=figures.learning_rate,
                    tokens_per_second=figures.tokens_per_second,
                    eta_seconds=figures.eta_seconds,
                    validation_loss=self._validation_loss,
                    epoch=figures.epoch,
                    epochs=figures.epochs,
                    samples=figures.samples,
                    samples_per_second=figures.samples_per_second,
                    gradient_norm=figures.gradient_norm,
                    train_loss=figures.epoch_loss,
                    best_validation_loss=figures.best_validation_loss,
                    epochs_without_improvement=figures.epochs_without_improvement,
                    memory_bytes=figures.memory_bytes,
                )
            )
        if last or figures.step == 1 or figures.step % self._log_every == 0:
            _logger.info(
                "step",
                step=figures.step,
                steps=figures.steps,
                loss=round(figures.loss, 4),
                bits_per_character=_rounded(figures.bits_per_character),
                learning_rate=figures.learning_rate,
                tokens_per_second=round(figures.tokens_per_second),
                eta_seconds=round(figures.eta_seconds, 1),
            )

    def validated(self, step: int, loss: float, best: bool) -> None:
        """Log, and remember for the next progress."""
        self._validation_loss = loss
        _logger.info("validated", step=step, validation_loss=round(loss, 4), best=best)

    def epoch_ended(self, figures: "EpochFigures") -> None:
        """Log what it came to."""
        _logger.info(
            "epoch",
            epoch=figures.epoch,
            epochs=figures.epochs,
            train_loss=_rounded(figures.train_loss),
            validation_loss=_rounded(figures.validation_loss),
            best_validation_loss=_rounded(figures.best_validation_loss),
            epochs_without_improvement=figures.without_improvement,
            samples_per_second=round(figures.samples_per_second, 2),
        )

    def ended(self, figures: "FinalFigures") -> None:
        """Log what the run came to."""
        _logger.info(
            "run ended",
            step=figures.step,
            early_stopped=figures.early_stopped,
            best_step=figures.best_step,
            test_loss=_rounded(figures.test_loss),
        )

    def inspected(self, step: int, inspection: "Inspection") -> None:
        """A closer look is for the metrics."""

    def stumbled(self, step: int, action: str, loss: float, gradient_norm: float) -> None:
        """Log that a step was bad, and what was done about it."""
        _logger.warning("bad step", step=step, action=action, loss=loss, gradient_norm=gradient_norm)

    def stopping(self) -> bool:
        """Whether the supervisor wants this worker to stop."""
        return self._channel.stopping.is_set()


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)

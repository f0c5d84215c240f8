"""One run from a snapshot to a published version, as a list of steps each of which is found done when repeated.

The run's folder: ``run.json`` (all that was decided, once), ``tokenizer/``, ``data/``, ``checkpoints/``,
``metrics.jsonl``.
"""

import importlib.util
import logging
import math
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from engine import artifacts, device, disk, generation, version
from engine.config.model import ModelSettings
from engine.config.tokenizer import TokenizerSettings
from engine.config.training import TrainingSettings
from engine.data import snapshot
from engine.data.batches import Batch
from engine.data.snapshot import Example, OnePass, SnapshotManifest
from engine.device import ImpossiblePlacementError, Placement
from engine.manifest import Lineage, VersionManifest, read_manifest, verify
from engine.models import registry
from engine.models.base import LanguageModel
from engine.tokenizers import registry as tokenizers
from engine.tokenizers.base import Tokenizer
from engine.tokenizers.train import train as train_tokenizer
from engine.training import dataset, recipe, speed
from engine.training.checkpoint import Progress
from engine.training.dataset import Dataset
from engine.training.loop import Loop, steps_per_epoch
from engine.training.objectives import registry as objectives
from engine.training.objectives.base import Objective, ReferenceModel
from engine.training.recipe import Recipe, Start, Task
from engine.training.reporting import metrics
from engine.training.reporting.inspection import Examples
from engine.training.reporting.metrics import Recorder
from engine.training.reporting.reporter import Reporter
from engine.training.world import ALONE, Ranks
from engine.variation import Variation

RECORD, METRICS = "run.json", "metrics.jsonl"
TOKENIZER, DATA, CHECKPOINTS = "tokenizer", "data", "checkpoints"
_logger = logging.getLogger(__name__)


class ImpossiblePlanError(Exception):
    """Settings that do not fit the model; the message names them."""


class Plan(BaseModel):
    """What is asked of a run. ``settings`` is everything, for the manifest; the tables that count stand beside it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cycle: int
    version: int
    base: int | None
    model: ModelSettings
    tokenizer: TokenizerSettings
    training: TrainingSettings
    settings: dict[str, JsonValue]
    variation: Variation = Variation()


class Record(BaseModel):
    """``run.json``: a plan and what it came to on the machine it began on. A resumed run never decides again."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    plan: Plan
    snapshot_sha256: str
    text_bytes: int = 0
    device: str
    dtype: str
    threads: int
    recipe: Recipe | None = None
    """Decided once the data is counted."""

    @property
    def placement(self) -> Placement:
        """Where and in what the run computes.

        Raises:
            ImpossiblePlacementError: it began on a GPU, and there is none any more.
        """
        if self.device == "cuda" and not torch.cuda.is_available():
            raise ImpossiblePlacementError("this run began on a GPU, and torch finds no usable one here any more")
        dtypes = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
        return Placement(torch.device(self.device), dtypes[self.dtype])


@dataclass(frozen=True)
class Places:
    """What a run reads and writes. ``base`` is the version it goes on from, null for an initial training."""

    folder: Path
    snapshot: Path
    base: Path | None
    target: Path


def learn(plan: Plan, places: Places, reporter: Reporter, ranks: Ranks = ALONE) -> VersionManifest:
    """Carry a run through, from wherever an earlier attempt got to, and publish its version.

    Of several ranks the first prepares the data, before any other comes here, and publishes.

    Raises:
        Stopped: the reporter asked for it; the same call goes on later.
        NothingToLearnError: no token of the snapshot is supervised.
        ImpossiblePlanError: rows would be longer than the model's context, `training.checkpoint_folder` is taken, or
            the optimizer is not installed.
        DivergedError: the guard gave up.
        ArtifactError: the base version, or a version at the target, is damaged.
        ImpossiblePlacementError: device or precision cannot be had here.
        NothingToRecomputeError: ``training.activation_checkpointing`` is set, and the family has no blocks.
        OutOfMemoryError: there is not enough for a single row.
        OSError: the disk is full or refused.
    """
    if places.target.exists():
        return version.existing(places.target, plan.cycle)
    record = _record(plan, places)
    _use_threads(max(1, record.threads // ranks.here))
    settings = _model_settings(record.plan, places)
    device.check_training(record.placement, settings.family)
    examples = OnePass(places.snapshot)
    tokenizer = _tokenizer(record.plan, places, examples, reporter)
    data = dataset.prepare(places.folder / DATA, places.snapshot, examples, tokenizer, record.plan.training, reporter)
    model = _model(settings, record.plan, places, tokenizer)
    objective = objectives.make(record.plan.training, _reference(record, places))
    reporter.preparing("measuring how long a step takes")
    training, record = _decided(record, places, data, settings, model, objective, tokenizer)
    world = ranks.meet(record.placement.device)
    epoch = steps_per_epoch(len(data.rows), training)
    constants = metrics.constants(settings, training, record.placement, tokenizer, data.tokens)
    with world.checkpoints(
        checkpoint_folder(record.plan, places),
        training.keep_checkpoints,
        keep_every=epoch if training.keep_epochs else 0,
    ) as checkpoints:
        outcome = Loop(
            model=model,
            objective=objective,
            rows=data.rows,
            validation=data.validation,
            settings=training,
            placement=record.placement,
            checkpoints=checkpoints,
            reporter=reporter
            if world.rank
            else Recorder(places.folder / METRICS, training.log_every, constants, reporter),
            examples=Examples(tokenizer, data.validation or data.rows),
            world=world,
        ).run()
    if world.rank:
        world.barrier()
        return version.existing(places.target, plan.cycle)
    artifacts.sweep_drafts(places.target.parent)
    origin = provenance(record, outcome.progress, pretrained=_start(places) == "imported")
    brought = generation.read(places.base) if places.base else None
    manifest = version.publish(places.target, outcome.weights, settings, tokenizer, origin, outcome.trunk, brought)
    world.barrier()
    return manifest


def _record(plan: Plan, places: Places) -> Record:
    """What an earlier attempt decided for the same plan, else decide now. Another plan's run is thrown away."""
    found = snapshot.read_manifest(places.snapshot)
    earlier = _earlier(places)
    if earlier is not None and _same(earlier.plan, plan) and earlier.snapshot_sha256 == found.sha256:
        return earlier
    if earlier is not None:
        _logger.warning("the run in %s is of another plan and starts anew", places.folder)
        shutil.rmtree(checkpoint_folder(earlier.plan, places), ignore_errors=True)
    if places.folder.exists():
        shutil.rmtree(places.folder)
    if (elsewhere := checkpoint_folder(plan, places)).exists():
        raise ImpossiblePlanError(
            f"{elsewhere} holds checkpoints of another run: remove it, or choose another training.checkpoint_folder"
        )
    record = _decide(plan, places, found)
    places.folder.mkdir(parents=True)
    disk.write_json(places.folder / RECORD, record.model_dump(mode="json"))
    return record


def _earlier(places: Places) -> Record | None:
    """What was decided for the run in this folder; null where there is none that can be read."""
    try:
        return Record.model_validate_json((places.folder / RECORD).read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        _logger.warning("the run in %s starts anew: %s", places.folder, error)
        return None


def _decide(plan: Plan, places: Places, found: SnapshotManifest) -> Record:
    """How a plan is carried out on this machine."""
    if plan.training.optimizer == "adamw8bit" and importlib.util.find_spec("torchao") is None:
        raise ImpossiblePlanError("training.optimizer 'adamw8bit' needs torchao: pip install torchao")
    family = _model_settings(plan, places).family
    placement = device.resolve(plan.training.device, plan.training.precision, family)
    return Record(
        plan=plan,
        snapshot_sha256=found.sha256,
        text_bytes=found.text_bytes,
        device=placement.device.type,
        dtype=placement.dtype_name,
        threads=plan.training.threads or device.physical_cores(),
    )


def _decided(
    record: Record,
    places: Places,
    data: Dataset,
    settings: ModelSettings,
    model: LanguageModel,
    objective: Objective[Batch],
    tokenizer: Tokenizer,
) -> tuple[Recipe, Record]:
    """The recipe that an earlier attempt, or rank 0, wrote down, else one for this data; and the record with it."""
    if record.recipe is not None:
        return record.recipe, record
    training = record.plan.training
    task = Task(
        start=_start(places),
        rows=len(data.rows),
        validated=data.validation is not None,
        parameters=registry.parameter_count(settings, tokenizer.vocabulary),
    )
    chosen = recipe.decide(task, training, record.plan.variation)
    if recipe.is_open(task, training):
        seconds = speed.seconds_per_step(model, objective, data.rows, chosen, record.placement)
        chosen = recipe.within(chosen, task, seconds)
    record = record.model_copy(update={"recipe": chosen})
    disk.write_json(places.folder / RECORD, record.model_dump(mode="json"))
    return chosen, record


def _start(places: Places) -> Start:
    """What the run goes on from."""
    if places.base is None:
        return "nothing"
    return "imported" if read_manifest(places.base).is_pretrained else "own"


def checkpoint_folder(plan: Plan, places: Places) -> Path:
    """In the run's folder, or under its name in the folder that the settings name."""
    chosen = plan.training.checkpoint_folder
    return Path(chosen) / places.folder.name if chosen else places.folder / CHECKPOINTS


def _same(one: Plan, other: Plan) -> bool:
    """Whether two plans ask for the same version from the same base; settings changed since are of no account."""
    return (one.cycle, one.version, one.base) == (other.cycle, other.version, other.base)


def _use_threads(count: int) -> None:
    """So many for products, and for tokenising where that has not begun."""
    torch.set_num_threads(count)  # sums depend on how they are split, so a resumed run has as many
    os.environ["RAYON_NUM_THREADS"] = str(count)


def _tokenizer(plan: Plan, places: Places, examples: OnePass, reporter: Reporter) -> Tokenizer:
    """The base version's; in an initial training, one trained on the snapshot."""
    if places.base:
        return tokenizers.load(version.read_config(places.base).tokenizer, places.base)
    folder = places.folder / TOKENIZER
    if not folder.exists():
        texts = _texts(examples.ahead(), reporter)
        tokenizer = train_tokenizer(plan.tokenizer, texts)
        with artifacts.publishing(folder) as draft:
            tokenizer.save(draft)
    return tokenizers.load(plan.tokenizer.kind, folder)


def _texts(examples: Iterator[Example], reporter: Reporter) -> Iterator[str]:
    """What a tokenizer is trained on; when all of it is read, merging takes its time, of which nothing is known."""
    for number, example in enumerate(examples):
        if number % 100 == 0:
            reporter.preparing("training the tokenizer")
        yield from example.sample.texts
    reporter.preparing("training the tokenizer")


def _model_settings(plan: Plan, places: Places) -> ModelSettings:
    """The base version's, but for dropout, which is no part of the weights; in an initial training the plan's."""
    settings = plan.model
    if places.base:
        settings = version.read_config(places.base).model.model_copy(update={"dropout": plan.model.dropout})
    if plan.training.sequence_length > settings.shape.context:
        raise ImpossiblePlanError(
            f"training.sequence_length ({plan.training.sequence_length}) is beyond the context of the model "
            f"({settings.shape.context})"
        )
    return settings


def _model(settings: ModelSettings, plan: Plan, places: Places, tokenizer: Tokenizer) -> LanguageModel:
    """The base version's weights in float32, or new ones. With wsd those of before its decay, if it has them."""
    if places.base is None:
        return registry.build(settings, tokenizer.vocabulary, plan.training.seed)
    verify(places.base)
    model = registry.skeleton(settings, tokenizer.vocabulary)
    weights = version.weights_to_train_on(places.base, trunk=plan.training.schedule == "wsd")
    registry.fill(model, {name: weight.clone().requires_grad_() for name, weight in weights.items()})
    return model


def _reference(record: Record, places: Places) -> ReferenceModel | None:
    """The version in service, as what the new one is to stay close to, where that is asked for."""
    weight = record.plan.training.kl_weight
    if not weight or places.base is None:
        return None
    return ReferenceModel(version.load(places.base, record.placement).model, weight)


def provenance(record: Record, progress: Progress, *, pretrained: bool = False) -> Lineage:
    """Where the version comes from that a run has got to; ``pretrained``: at first from elsewhere."""
    plan = record.plan
    return Lineage(
        version=plan.version,
        parent=plan.base,
        cycle=plan.cycle,
        snapshot_sha256=record.snapshot_sha256,
        seed=plan.training.seed,
        settings=plan.settings | ({"training": record.recipe.model_dump(mode="json")} if record.recipe else {}),
        training_seconds=round(progress.seconds, 3),
        metrics=_figures(record, progress),
        pretrained=pretrained,
    )


def _figures(record: Record, progress: Progress) -> dict[str, float]:
    """What a version's manifest says of its training; what is not known, or no number, is left out."""
    found = {
        "learning_rate": record.recipe.learning_rate if record.recipe else None,
        "text_bytes": record.text_bytes,
        "steps": progress.step,
        "tokens": progress.tokens,
        "supervised_tokens": progress.supervised,
        "tokens_per_second": progress.tokens / progress.seconds if progress.seconds else None,
        "final_loss": progress.loss,
        "validation_loss": progress.validation_loss,
        "best_validation_loss": progress.best_validation_loss,
        "best_step": progress.best_step,
    }
    return {name: float(value) for name, value in found.items() if value is not None and math.isfinite(value)}

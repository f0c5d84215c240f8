"""One run from a snapshot to a published version, as a list of steps each of which is found done when repeated.

The run's folder: ``run.json`` (all that was decided, once), ``tokenizer/``, ``data/``, ``checkpoints/``,
``metrics.jsonl``, ``eval/metrics.json``.
"""

import importlib.util
import logging
import math
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from pydantic import ValidationError

from engine import artifacts, device, disk, generation, room, version
from engine.adapters import method, rank
from engine.adapters.adapter import Adapter
from engine.config.model import ModelSettings
from engine.config.tasks import tasks_of
from engine.config.training import Method
from engine.data import snapshot
from engine.data.batches import Batch
from engine.data.snapshot import Example, OnePass, SnapshotManifest
from engine.families.table import FAMILIES, FamilyName
from engine.manifest import Lineage, VersionManifest, read_manifest
from engine.models import registry
from engine.models.base import LanguageModel
from engine.tokenizers import registry as tokenizers
from engine.tokenizers.base import Tokenizer
from engine.tokenizers.train import train as train_tokenizer
from engine.training import checkpoint, dataset, recipe, speed
from engine.training.checkpoint import Progress
from engine.training.dataset import Dataset
from engine.training.epochs import Epochs
from engine.training.loop import Loop
from engine.training.objectives import registry as objectives
from engine.training.objectives.base import Objective
from engine.training.recipe import Recipe, Start, Task
from engine.training.reporting import metrics
from engine.training.reporting.inspection import Examples
from engine.training.reporting.metrics import Recorder
from engine.training.reporting.reporter import FinalFigures, Reporter
from engine.training.spec import RunPaths, RunRecord, RunSpec
from engine.training.start import begin
from engine.training.world import ALONE, Ranks

RECORD, METRICS = "run.json", "metrics.jsonl"
TOKENIZER, DATA, CHECKPOINTS = "tokenizer", "data", "checkpoints"
RANK_USED = "adapter_rank_used"
"""Among the metrics of a version that is an adapter: see `engine.adapters.rank`."""
_logger = logging.getLogger(__name__)


class ImpossiblePlanError(Exception):
    """Settings that do not fit the model; the message names them."""


class UnmovedError(Exception):
    """A run came to its end and changed nothing."""


def learn(spec: RunSpec, paths: RunPaths, reporter: Reporter, ranks: Ranks = ALONE) -> VersionManifest:
    """Carry a run through, from wherever an earlier attempt got to, and publish its version.

    Of several ranks the first prepares the data, before any other comes here, and publishes.

    Raises:
        Stopped: the reporter asked for it; the same call goes on later.
        NothingToLearnError: no token of the snapshot is supervised.
        ImpossiblePlanError: rows would be longer than the model's context, `training.checkpoint_folder` is taken, or
            the optimizer is not installed.
        DivergedError: the guard gave up.
        UnmovedError: an adapter ended as it began.
        ArtifactError: the base version, or a version at the target, is damaged.
        ImpossiblePlacementError: device or precision cannot be had here.
        NoBlocksError: ``training.activation_checkpointing`` is set, and the family has no blocks.
        OutOfMemoryError: there is not enough for a single row.
        OSError: the disk is full or refused, or what the run takes will not fit there.
    """
    if paths.target.exists():
        return version.existing(paths.target, spec.cycle, spec.job)
    record = _record(spec, paths)
    _use_threads(max(1, record.threads // ranks.here))
    settings = _model_settings(record.spec, paths)
    device.check_training(record.placement, settings.family)
    examples = OnePass(paths.snapshot)
    tokenizer = _tokenizer(record.spec, paths, examples, reporter)
    if record.method == "full" and not checkpoint_folder(record.spec, paths).exists():
        room.check(registry.parameter_count(settings, tokenizer.vocabulary), record.spec.training, paths.folder)
    tasks = tasks_of(record.spec.tasks)
    data = dataset.prepare(
        paths.folder / DATA, paths.snapshot, examples, tokenizer, record.spec.training, reporter, tasks
    )
    kl_weight = recipe.kl_weight(_start(paths), record.spec.training)
    start = begin(record.spec, record.method, record.placement, paths, settings, tokenizer.vocabulary, kl_weight)
    objective = objectives.make(record.spec.training, start.reference)
    reporter.preparing("measuring how long a step takes")
    training, record = _decided(record, paths, data, settings, start.model, objective, tokenizer)
    world = ranks.meet(record.placement.device)
    epochs = Epochs(len(data.rows), training.rows_per_step, training.steps(len(data.rows)))
    constants = metrics.constants(settings, training, record.placement, tokenizer, data.tokens)
    with world.checkpoints(
        checkpoint_folder(record.spec, paths),
        training.keep_checkpoints,
        epochs.ends if training.keep_epochs else checkpoint.none,
    ) as checkpoints:
        if not world.rank:
            reporter = Recorder(paths.folder / METRICS, training.log_every, constants, reporter)
        loop = Loop(
            model=start.model,
            objective=objective,
            rows=data.rows,
            validation=data.validation,
            settings=training,
            placement=record.placement,
            checkpoints=checkpoints,
            reporter=reporter,
            examples=Examples(tokenizer, data.validation or data.rows),
            world=world,
        )
        outcome = loop.run()
    if outcome.progress.step and not start.has_moved(world.gathered):
        raise UnmovedError(f"no weight of the adapter moved in {outcome.progress.step} steps, so nothing was learned")
    final = _final(outcome.progress, None if data.test is None else loop.test(data.test, outcome.weights))
    reporter.ended(final)
    if world.rank:
        world.barrier()
        return version.existing(paths.target, spec.cycle, spec.job)
    artifacts.sweep_drafts(paths.target.parent)
    origin = provenance(record, outcome.progress, final.test_loss, pretrained=_start(paths) == "imported")
    brought = generation.read(paths.base) if paths.base else None
    published = start.published(outcome.weights)
    if isinstance(published, Adapter):
        origin = replace(origin, metrics=origin.metrics | {RANK_USED: rank.used(published)})
    manifest = version.publish(
        paths.target,
        published,
        settings,
        tokenizer,
        origin,
        outcome.trunk,
        brought,
        start.base,
    )
    world.barrier()
    return manifest


def _record(spec: RunSpec, paths: RunPaths) -> RunRecord:
    """What an earlier attempt decided for the same spec, else decide now. A run of another spec is removed."""
    found = snapshot.read_manifest(paths.snapshot)
    earlier = _earlier(paths)
    if earlier is not None and _same(earlier.spec, spec) and earlier.snapshot_sha256 == found.sha256:
        return earlier
    if earlier is not None:
        _logger.warning("the run in %s was for another version and starts anew", paths.folder)
        shutil.rmtree(checkpoint_folder(earlier.spec, paths), ignore_errors=True)
    if paths.folder.exists():
        shutil.rmtree(paths.folder)
    if (elsewhere := checkpoint_folder(spec, paths)).exists():
        raise ImpossiblePlanError(
            f"{elsewhere} holds checkpoints of another run: remove it, or choose another training.checkpoint_folder"
        )
    record = _decide(spec, paths, found)
    paths.folder.mkdir(parents=True)
    disk.write_json(paths.folder / RECORD, record.model_dump(mode="json", by_alias=True))
    return record


def _earlier(paths: RunPaths) -> RunRecord | None:
    """What was decided for the run in this folder; null where there is none that can be read."""
    try:
        return RunRecord.model_validate_json((paths.folder / RECORD).read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        _logger.warning("the run in %s starts anew: %s", paths.folder, error)
        return None


def _decide(spec: RunSpec, paths: RunPaths, found: SnapshotManifest) -> RunRecord:
    """How a spec is carried out on this machine."""
    if spec.training.optimizer == "adamw8bit" and importlib.util.find_spec("torchao") is None:
        raise ImpossiblePlanError("training.optimizer 'adamw8bit' needs torchao: pip install torchao")
    family = _model_settings(spec, paths).family
    placement = device.resolve(spec.training.device, spec.training.precision, family)
    return RunRecord(
        spec=spec,
        snapshot_sha256=found.sha256,
        text_bytes=found.text_bytes,
        device=placement.device.type,
        dtype=placement.dtype_name,
        threads=spec.training.threads or device.physical_cores(),
        method=_method(spec, paths.base, family),
    )


def _method(spec: RunSpec, base: Path | None, family: FamilyName) -> Method:
    """How a run is carried out."""
    chosen = method.resolved(spec.training, None if base is None else read_manifest(base))
    if chosen == "full":
        return "full"
    if base is None:
        raise ImpossiblePlanError(
            "training.method 'lora' changes a model that is there, and this thord has none: import one "
            "('thorctl import starter --promote'), or set it to 'full'"
        )
    if not FAMILIES[family].adaptable:
        raise ImpossiblePlanError(f"training.method 'lora' does not work for the family '{family}'; set it to 'full'")
    return "lora"


def _decided(
    record: RunRecord,
    paths: RunPaths,
    data: Dataset,
    settings: ModelSettings,
    model: LanguageModel,
    objective: Objective[Batch],
    tokenizer: Tokenizer,
) -> tuple[Recipe, RunRecord]:
    """The recipe that an earlier attempt, or rank 0, wrote down, else one for this data; and the record with it."""
    if record.recipe is not None:
        return record.recipe, record
    training = record.spec.training
    task = Task(
        start=_start(paths),
        rows=len(data.rows),
        validated=data.validation is not None,
        parameters=registry.parameter_count(settings, tokenizer.vocabulary),
        method=record.method,
    )
    chosen = recipe.decide(task, training, record.spec.variation)
    if recipe.is_open(task, training):
        seconds = speed.seconds_per_step(model, objective, data.rows, chosen, record.placement)
        chosen = recipe.within(chosen, task, seconds)
    _logger.info(
        "the run learns %s: passes %g, rows a step %d, peak learning rate %g, KL weight %g",
        "an adapter (training.method lora)" if chosen.method == "lora" else "all weights (training.method full)",
        chosen.epochs,
        chosen.batch_size * chosen.gradient_accumulation,
        chosen.learning_rate,
        chosen.kl_weight,
    )
    record = record.model_copy(update={"recipe": chosen})
    disk.write_json(paths.folder / RECORD, record.model_dump(mode="json", by_alias=True))
    return chosen, record


def _start(paths: RunPaths) -> Start:
    """What the run goes on from."""
    if paths.base is None:
        return "nothing"
    return "imported" if read_manifest(paths.base).is_pretrained else "own"


def checkpoint_folder(spec: RunSpec, paths: RunPaths) -> Path:
    """In the run's folder, or under its name in the folder that the settings name."""
    chosen = spec.training.checkpoint_folder
    return Path(chosen) / paths.folder.name if chosen else paths.folder / CHECKPOINTS


def _same(one: RunSpec, other: RunSpec) -> bool:
    """Whether two specs ask for the same version from the same base; changed settings make no difference."""
    return (one.cycle, one.job, one.version, one.base) == (other.cycle, other.job, other.version, other.base)


def _use_threads(count: int) -> None:
    """So many for products, and for tokenising where that has not begun."""
    torch.set_num_threads(count)  # sums depend on how they are split, so a resumed run has as many
    os.environ["RAYON_NUM_THREADS"] = str(count)


def _tokenizer(spec: RunSpec, paths: RunPaths, examples: OnePass, reporter: Reporter) -> Tokenizer:
    """The base version's; in an initial training, one trained on the snapshot."""
    if paths.base:
        return tokenizers.load(version.read_config(paths.base).tokenizer, paths.base)
    folder = paths.folder / TOKENIZER
    if not folder.exists():
        texts = _texts(examples.ahead(), reporter)
        tokenizer = train_tokenizer(spec.tokenizer, texts)
        with artifacts.publishing(folder) as draft:
            tokenizer.save(draft)
    return tokenizers.load(spec.tokenizer.kind, folder)


def _texts(examples: Iterator[Example], reporter: Reporter) -> Iterator[str]:
    """What a tokenizer is trained on; when all of it is read, merging takes its time, of which nothing is known."""
    for number, example in enumerate(examples):
        if number % 100 == 0:
            reporter.preparing("training the tokenizer")
        yield from example.sample.texts
    reporter.preparing("training the tokenizer")


def _model_settings(spec: RunSpec, paths: RunPaths) -> ModelSettings:
    """The base version's, but for dropout, which is no part of the weights; in an initial training the spec's."""
    settings = spec.model
    if paths.base:
        settings = version.read_config(paths.base).model.model_copy(update={"dropout": spec.model.dropout})
    if spec.training.sequence_length > settings.shape.context:
        raise ImpossiblePlanError(
            f"training.sequence_length ({spec.training.sequence_length}) is beyond the context of the model "
            f"({settings.shape.context})"
        )
    return settings


def _final(progress: Progress, test_loss: float | None) -> FinalFigures:
    return FinalFigures(
        step=progress.step,
        best_step=progress.best_step,
        early_stopped=progress.early_stopped,
        test_loss=test_loss if test_loss is not None and math.isfinite(test_loss) else None,
        seconds=progress.seconds,
    )


def provenance(record: RunRecord, progress: Progress, test_loss: float | None = None, *, pretrained: bool) -> Lineage:
    """Where the version comes from that a run has got to; ``pretrained``: at first from elsewhere."""
    spec = record.spec
    return Lineage(
        version=spec.version,
        parent=spec.base,
        cycle=spec.cycle,
        job=spec.job,
        snapshot_sha256=record.snapshot_sha256,
        seed=spec.training.seed,
        settings=spec.settings | ({"training": record.recipe.model_dump(mode="json")} if record.recipe else {}),
        training_seconds=round(progress.seconds, 3),
        metrics=_figures(record, progress) | ({} if test_loss is None else {"test_loss": test_loss}),
        pretrained=pretrained,
    )


def _figures(record: RunRecord, progress: Progress) -> dict[str, float]:
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
        "early_stopped": progress.early_stopped,
        "epochs_without_improvement": progress.epoch.without_improvement,
    }
    return {name: float(value) for name, value in found.items() if value is not None and math.isfinite(value)}

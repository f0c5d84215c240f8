"""A checkpoint of a run becomes a version by itself: to be served, judged, or learned on from."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from pydantic import JsonValue, ValidationError

from engine import artifacts, generation, stored_weights, version
from engine.adapters.adapter import Adapter
from engine.artifacts import ArtifactError
from engine.config.model import ModelSettings
from engine.manifest import Base, VersionManifest, read_manifest
from engine.models import registry
from engine.tokenizers import registry as tokenizers
from engine.tokenizers.base import Tokenizer
from engine.training import checkpoint, start
from engine.training.ema import averages_in
from engine.training.run import CHECKPOINTS, RECORD, TOKENIZER, provenance
from engine.training.spec import RunRecord, RunSpec


def publish(source: Path, runs: Path, version_at: Callable[[int], Path], target: Path, number: int) -> VersionManifest:
    """Publish the checkpoint in ``source`` as version ``number`` at ``target``: its weights, or their averages.

    ``runs`` has the runs whose checkpoints lie elsewhere; ``version_at`` says where a version lies, for a run that went
    on from one has neither tokenizer nor sizes of its own.

    Raises:
        ArtifactError: it is not a checkpoint, or it or its run is damaged or missing.
        OSError: the disk is full or refused.
    """
    if not (source / checkpoint.MODEL).exists():
        raise ArtifactError(
            f"{source} is not a checkpoint; checkpoints are folders such as runs/000001/{CHECKPOINTS}/000200"
        )
    found = checkpoint.read(source)
    run = source.parent.parent if source.parent.name == CHECKPOINTS else runs / source.parent.name
    try:
        record = RunRecord.model_validate_json((run / RECORD).read_bytes())
    except (OSError, ValidationError) as error:
        raise ArtifactError(f"cannot read the run that {source} belongs to: {run / RECORD}: {error}") from error
    base_folder = None if record.spec.base is None else version_at(record.spec.base)
    settings, tokenizer = _outline(record.spec, run, base_folder)
    pretrained = base_folder is not None and read_manifest(base_folder).is_pretrained
    origin = provenance(record, found.progress, pretrained=pretrained)
    imported: dict[str, JsonValue] = {"imported": {"from": str(source)}}
    origin = replace(origin, version=number, cycle=None, settings=origin.settings | imported)
    artifacts.sweep_drafts(target.parent)
    weights = found.weights | averages_in(found.optimizer)
    brought = None if base_folder is None else generation.read(base_folder)
    if record.method == "lora" and base_folder is not None:
        adapter, base = _adapter(record.spec, base_folder, settings, tokenizer.vocabulary)
        return version.publish(target, adapter.with_factors(weights), settings, tokenizer, origin, None, brought, base)
    return version.publish(target, weights, settings, tokenizer, origin, generation_config=brought)


def _adapter(spec: RunSpec, folder: Path, settings: ModelSettings, vocabulary: int) -> tuple[Adapter, Base]:
    """What the run in question began with, whose factors the checkpoint has, and its base."""
    model = registry.skeleton(settings, vocabulary)
    return start.adapter_and_base(spec, folder, stored_weights.read(folder, read_manifest(folder), model), model)


def _outline(spec: RunSpec, run: Path, base: Path | None) -> tuple[ModelSettings, Tokenizer]:
    """Sizes and tokenizer of what the run trains."""
    if base is None:
        return spec.model, tokenizers.load(spec.tokenizer.kind, run / TOKENIZER)
    config = version.read_config(base)
    return config.model, tokenizers.load(config.tokenizer, base)

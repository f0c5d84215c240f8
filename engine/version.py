"""A version as a folder: weights, configuration and tokenizer, published whole and loaded with every check.

``config.json`` says how to build the model: ``{"family", "model", "vocabulary", "tokenizer"}``.
"""

import contextlib
import importlib.metadata
import platform
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, JsonValue
from safetensors.torch import save_file
from torch import Tensor

from engine import artifacts, disk, generation, stored_weights
from engine.adapters import adapter as adapters
from engine.adapters.adapter import Adapter
from engine.artifacts import ArtifactError
from engine.config.inference import Quantization
from engine.config.model import ModelSettings
from engine.device import Placement
from engine.generation import UNSAID, BadGenerationError, Generation
from engine.manifest import WEIGHTS, Base, Lineage, VersionManifest, read_manifest, verify, write_manifest
from engine.models import registry
from engine.models.base import LanguageModel
from engine.stored_weights import TRUNK, StoredWeights
from engine.tokenizers import registry as tokenizers
from engine.tokenizers.base import Tokenizer

CONFIG, TOKENIZER = "config.json", "tokenizer.json"


class VersionConfig(BaseModel):
    """``config.json`` of a version: how to build its model, and which kind of tokenizer it has."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    family: str
    model: ModelSettings
    vocabulary: int
    tokenizer: str


@dataclass(frozen=True)
class LoadedVersion:
    """A version in memory, ready to compute (in evaluation mode, without gradients).

    Attributes:
        base_quantization: what the base of an adapter is rounded to; none where weights are as they are stored.
    """

    manifest: VersionManifest
    config: VersionConfig
    model: LanguageModel
    tokenizer: Tokenizer
    generation: Generation = UNSAID
    base_quantization: Quantization = "none"


def load(
    folder: Path, placement: Placement, *, check_finite: bool = False, tokenizer: Tokenizer | None = None
) -> LoadedVersion:
    """Load a published version onto a device.

    Weights of the placement's dtype stay mapped from the file; others are converted. Sums are not checked here
    (`engine.manifest.verify` does that). A ``tokenizer`` that is given is the version's own, in memory already.

    Raises:
        ArtifactError: a file is missing or damaged, or files do not fit each other, or, with ``check_finite``, a weight
            is NaN or infinite.
    """
    found = outline(folder, tokenizer)
    return replace(found, model=load_model(folder, placement, check_finite=check_finite))


def load_model(folder: Path, placement: Placement, *, check_finite: bool = False) -> LanguageModel:
    """The model of a published version, as `load` has it. Raises as that, but does not look at the tokenizer."""
    config = read_config(folder)
    model = registry.skeleton(config.model, config.vocabulary)
    stored = stored_weights.read(folder, read_manifest(folder), model)
    if check_finite:
        stored_weights.check_numbers(stored.raw(), folder)
    registry.fill(model, {name: stored.get(name, placement.dtype).to(placement.device) for name in stored.names})
    registry.module(model).eval().requires_grad_(False)
    return model


def outline(folder: Path, tokenizer: Tokenizer | None = None) -> LoadedVersion:
    """A published version without its weights: its model is a skeleton. ``tokenizer`` as for `load`.

    Raises:
        ArtifactError: a file is missing or damaged, or files do not fit each other.
    """
    config, tokenizer = _read_outline(folder, tokenizer)
    model = registry.skeleton(config.model, config.vocabulary)
    return LoadedVersion(read_manifest(folder), config, model, tokenizer, _read_generation(folder))


def check(folder: Path) -> None:
    """Check a version as `load` with ``check_finite`` does, with at most one of its tensors in memory at a time.

    Raises:
        ArtifactError: `load` would refuse it.
    """
    config, _ = _read_outline(folder)
    _read_generation(folder)
    stored = stored_weights.read(folder, read_manifest(folder), registry.skeleton(config.model, config.vocabulary))
    stored_weights.check_numbers(stored.raw(), folder)


def weights_to_train_on(folder: Path, *, trunk: bool) -> dict[str, Tensor]:
    """A version's weights in float32; with ``trunk`` those of before its decay, if it has them.

    Raises:
        ArtifactError: a file is missing or damaged.
    """
    stored = weights_of(folder, trunk=trunk)
    return {name: stored.get(name, torch.float32) for name in stored.names}


def weights_of(folder: Path, *, trunk: bool = False) -> StoredWeights:
    """A version's weights as they are stored, merged where it is an adapter; ``trunk`` as `weights_to_train_on`.

    Raises:
        ArtifactError: a file is missing or damaged.
    """
    config = read_config(folder)
    model = registry.skeleton(config.model, config.vocabulary)
    return stored_weights.read(folder, read_manifest(folder), model, trunk=trunk)


def read_config(folder: Path) -> VersionConfig:
    """The configuration of a version.

    Raises:
        ArtifactError: it is missing or damaged.
    """
    return artifacts.read_json(folder / CONFIG, VersionConfig)


def publish(
    folder: Path,
    weights: Mapping[str, Tensor] | Adapter,
    model: ModelSettings,
    tokenizer: Tokenizer,
    lineage: Lineage,
    trunk: Mapping[str, Tensor] | None = None,
    generation_config: Mapping[str, JsonValue] | None = None,
    base: Base | None = None,
) -> VersionManifest:
    """Publish a version at ``folder``; the same cycle's version that is there already is verified and kept.

    ``weights`` are all of its own, or an adapter, which changes those of ``base``. ``trunk`` are the weights, or the
    factors, to train on from, where those are others than the ones to serve. ``generation_config`` is what the model
    brought, or what the version that it goes on from has (`engine.generation.read`).

    Raises:
        ArtifactError: what is there is damaged or another cycle's.
    """
    if folder.exists():
        return existing(folder, lineage.cycle, lineage.job)
    config = VersionConfig(
        family=model.family, model=model.resolved, vocabulary=tokenizer.vocabulary, tokenizer=tokenizer.kind
    )
    with artifacts.publishing(folder) as draft:
        if isinstance(weights, Adapter):
            assert base is not None
            adapters.write(draft, weights, registry.skeleton(model, tokenizer.vocabulary), base.sha256)
            if trunk is not None:
                adapters.write_factors(draft / TRUNK, trunk, base.sha256)
        else:
            for name, tensors in ((WEIGHTS, weights), (TRUNK, trunk)):
                if tensors is not None:
                    save_file({key: weight.contiguous() for key, weight in tensors.items()}, draft / name)
        disk.write_json(draft / CONFIG, config.model_dump(mode="json"))
        tokenizer.save(draft)
        if generation_config:
            disk.write_json(draft / generation.FILE, generation_config)
        found = write_manifest(
            draft,
            lineage,
            family=model.family,
            parameters=registry.parameter_count(model, tokenizer.vocabulary),
            tokenizer_file=TOKENIZER,
            libraries=_libraries(),
            base=base,
        )
        for file in draft.iterdir():
            file.chmod(0o444)
    return found


def existing(folder: Path, cycle: int | None, job: int | None = None) -> VersionManifest:
    """The manifest of a version that ``cycle``, or ``job``, has published already.

    Raises:
        ArtifactError: it is damaged or another's.
    """
    found = verify(folder)
    if (found.cycle, found.job) != (cycle, job):
        raise ArtifactError(f"{folder} is the version of {_maker(found.cycle, found.job)}, not of {_maker(cycle, job)}")
    return found


def _maker(cycle: int | None, job: int | None) -> str:
    return f"cycle {cycle}" if job is None else f"job {job}"


def _read_outline(folder: Path, tokenizer: Tokenizer | None = None) -> tuple[VersionConfig, Tokenizer]:
    """Configuration and tokenizer, which must fit each other."""
    config = read_config(folder)
    tokenizer = tokenizers.load(config.tokenizer, folder) if tokenizer is None else tokenizer
    if tokenizer.vocabulary != config.vocabulary:
        raise ArtifactError(
            f"{folder}: the tokenizer has {tokenizer.vocabulary} tokens, {CONFIG} says {config.vocabulary}"
        )
    return config, tokenizer


def _read_generation(folder: Path) -> Generation:
    try:
        return generation.parsed(generation.read(folder))
    except BadGenerationError as error:
        raise ArtifactError(f"{folder}: {error}") from error


def _libraries() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in ("thord", "torch", "safetensors", "tokenizers", "numpy"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):  # thord itself, run from a checkout
            found[name] = importlib.metadata.version(name)
    return found

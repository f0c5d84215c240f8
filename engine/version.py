"""A version as a folder: weights, configuration and tokenizer, published whole and loaded with every check.

``config.json`` says how to build the model: ``{"family", "model", "vocabulary", "tokenizer"}``.
"""

import contextlib
import importlib.metadata
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, JsonValue
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from engine import artifacts, disk, generation
from engine.artifacts import ArtifactError
from engine.config.model import ModelSettings
from engine.device import Placement
from engine.generation import UNSAID, BadGenerationError, Generation
from engine.manifest import Lineage, VersionManifest, read_manifest, verify, write_manifest
from engine.models import registry
from engine.models.base import LanguageModel
from engine.tokenizers import registry as tokenizers
from engine.tokenizers.base import Tokenizer

WEIGHTS, CONFIG, TOKENIZER = "model.safetensors", "config.json", "tokenizer.json"
TRUNK = "trunk.safetensors"
"""Only with ``wsd``: the weights of before the decay, from which training continues."""


class VersionConfig(BaseModel):
    """``config.json`` of a version: how to build its model, and which kind of tokenizer it has."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    family: str
    model: ModelSettings
    vocabulary: int
    tokenizer: str


@dataclass(frozen=True)
class LoadedVersion:
    """A version in memory, ready to compute (in evaluation mode, without gradients)."""

    manifest: VersionManifest
    config: VersionConfig
    model: LanguageModel
    tokenizer: Tokenizer
    generation: Generation = UNSAID


def load(folder: Path, placement: Placement, *, check_finite: bool = False) -> LoadedVersion:
    """Load a published version onto a device.

    Weights of the placement's dtype stay mapped from the file; others are converted. Sums are not checked here
    (`engine.manifest.verify` does that).

    Raises:
        ArtifactError: a file is missing or damaged, or files do not fit each other, or, with ``check_finite``, a weight
            is NaN or infinite.
    """
    manifest = read_manifest(folder)
    config, tokenizer = _read_outline(folder)
    model = registry.skeleton(config.model, config.vocabulary)
    weights = _read_weights(folder / WEIGHTS, registry.module(model).state_dict())
    if check_finite:
        check_numbers(weights.items(), folder / WEIGHTS)
    registry.fill(model, {name: weight.to(placement.device, placement.dtype) for name, weight in weights.items()})
    registry.module(model).eval().requires_grad_(False)
    return LoadedVersion(manifest, config, model, tokenizer, _read_generation(folder))


def check(folder: Path) -> None:
    """Check a version as `load` with ``check_finite`` does, with at most one of its tensors in memory at a time.

    Raises:
        ArtifactError: `load` would refuse it.
    """
    config, _ = _read_outline(folder)
    _read_generation(folder)
    expected = registry.module(registry.skeleton(config.model, config.vocabulary)).state_dict()
    file = folder / WEIGHTS
    try:
        with safe_open(file, framework="pt") as stored:
            names = list(stored.keys())
            check_weights({name: stored.get_tensor(name) for name in names}, expected, str(file))  # still only mapped
            check_numbers(((name, stored.get_tensor(name)) for name in names), file)
    except (OSError, SafetensorError) as error:
        raise ArtifactError(f"{file}: {error}") from error


def weights_to_train_on(folder: Path, *, trunk: bool) -> dict[str, Tensor]:
    """A version's weights in float32; with ``trunk`` those of before its decay, if it has them.

    Raises:
        ArtifactError: a file is missing or damaged.
    """
    config = read_config(folder)
    file = folder / TRUNK if trunk and (folder / TRUNK).exists() else folder / WEIGHTS
    expected = registry.module(registry.skeleton(config.model, config.vocabulary)).state_dict()
    return {name: weight.float() for name, weight in _read_weights(file, expected).items()}


def read_config(folder: Path) -> VersionConfig:
    """The configuration of a version.

    Raises:
        ArtifactError: it is missing or damaged.
    """
    return artifacts.read_json(folder / CONFIG, VersionConfig)


def publish(
    folder: Path,
    weights: Mapping[str, Tensor],
    model: ModelSettings,
    tokenizer: Tokenizer,
    lineage: Lineage,
    trunk: Mapping[str, Tensor] | None = None,
    generation_config: Mapping[str, JsonValue] | None = None,
) -> VersionManifest:
    """Publish a version at ``folder``; the same cycle's version that is there already is verified and kept.

    ``trunk`` are the weights to train on from, where those are others than the ones to serve. ``generation_config`` is
    what the model brought, or what the version that it goes on from has (`engine.generation.read`).

    Raises:
        ArtifactError: what is there is damaged or another cycle's.
    """
    if folder.exists():
        return existing(folder, lineage.cycle)
    config = VersionConfig(
        family=model.family, model=model.resolved, vocabulary=tokenizer.vocabulary, tokenizer=tokenizer.kind
    )
    with artifacts.publishing(folder) as draft:
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
        )
        for file in draft.iterdir():
            file.chmod(0o444)
    return found


def existing(folder: Path, cycle: int | None) -> VersionManifest:
    """The manifest of a version that ``cycle`` has published already.

    Raises:
        ArtifactError: it is damaged or another cycle's.
    """
    found = verify(folder)
    if found.cycle != cycle:
        raise ArtifactError(f"{folder} is the version of cycle {found.cycle}, not of {cycle}")
    return found


def _read_outline(folder: Path) -> tuple[VersionConfig, Tokenizer]:
    """Configuration and tokenizer, which must fit each other."""
    config = read_config(folder)
    tokenizer = tokenizers.load(config.tokenizer, folder)
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


def check_numbers(weights: Iterable[tuple[str, Tensor]], file: Path) -> None:
    """Check that every weight is a finite number; errors name ``file`` as their origin.

    Raises:
        ArtifactError: one is NaN or infinite.
    """
    broken = [name for name, weight in weights if not _is_finite(weight)]
    if broken:
        raise ArtifactError(f"{file}: NaN or infinity in {', '.join(broken[:3])}")


def _is_finite(weight: Tensor) -> bool:
    """By the smallest and the largest, which NaN would be: in a fifteenth of the time that a look at each takes."""
    return not weight.numel() or all(bool(extreme.isfinite()) for extreme in torch.aminmax(weight))


def _read_weights(file: Path, expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors mapped from ``file``, as many and of the shapes expected."""
    try:
        weights = load_file(file)
    except (OSError, SafetensorError) as error:
        raise ArtifactError(f"{file}: {error}") from error
    check_weights(weights, expected, str(file))
    return weights


def check_weights(weights: Mapping[str, Tensor], expected: Mapping[str, Tensor], place: str) -> None:
    """Check that tensors have the names and shapes expected; errors name ``place`` as their origin.

    Raises:
        ArtifactError: they are not.
    """
    missing, surplus = sorted(expected.keys() - weights.keys()), sorted(weights.keys() - expected.keys())
    if missing or surplus:
        raise ArtifactError(f"{place}: tensors missing: {missing[:3]}, not expected: {surplus[:3]}")
    for name, weight in weights.items():
        if weight.shape != expected[name].shape:
            raise ArtifactError(
                f"{place}: {name} is {list(weight.shape)}, the model needs {list(expected[name].shape)}"
            )
        if not weight.is_floating_point():
            raise ArtifactError(f"{place}: {name} is of {weight.dtype}, which is not a floating point type")


def _libraries() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in ("thord", "torch", "safetensors", "tokenizers", "numpy"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):  # thord itself, run from a checkout
            found[name] = importlib.metadata.version(name)
    return found

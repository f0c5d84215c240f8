"""What a run goes on from: the model as it learns, all of it or an adapter, and the model that it stays close to."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from engine import stored_weights, version
from engine.adapters import adapter as adapters
from engine.adapters.adapter import Adapter
from engine.adapters.config import AdapterConfig
from engine.adapters.network import FrozenBase
from engine.config.model import ModelSettings
from engine.config.training import Method
from engine.device import Placement
from engine.manifest import Base, VersionManifest, read_manifest, verify, version_name, weights_file
from engine.models import registry
from engine.models.base import LanguageModel
from engine.stored_weights import OneByOne, StoredWeights
from engine.training.objectives.base import ReferenceModel
from engine.training.spec import RunPaths, RunSpec


@dataclass(frozen=True)
class StartingPoint:
    """A model before the first step of a run.

    Attributes:
        reference: what it is to stay close to, where that is asked for.
        adapter: as the run begins with it; null: all weights learn.
        base: of the adapter.
    """

    model: LanguageModel
    reference: ReferenceModel | None
    adapter: Adapter | None = None
    base: Base | None = None

    def published(self, weights: Mapping[str, Tensor]) -> Mapping[str, Tensor] | Adapter:
        """What a version is made of, given what was trained."""
        return weights if self.adapter is None else self.adapter.with_factors(weights)

    def has_moved(self, gathered: Callable[[Tensor], Tensor]) -> bool:
        """Whether a factor of the adapter is another than at the start; true where all weights learn.

        Every rank of a run asks, since ``gathered`` puts a factor together of which each holds a part.
        """
        if self.adapter is None:
            return True
        weights = dict(registry.module(self.model).named_parameters())
        before = self.adapter.factors.items()
        return any(not torch.equal(gathered(weights[name].detach()).cpu(), factor) for name, factor in before)


def begin(
    spec: RunSpec,
    method: Method,
    placement: Placement,
    paths: RunPaths,
    settings: ModelSettings,
    vocabulary: int,
    kl_weight: float,
) -> StartingPoint:
    """The model that a run trains, with what belongs to it.

    With ``wsd`` it goes on from the weights of before the decay of its base, if that has them.

    Raises:
        ArtifactError: the version that it goes on from is damaged.
    """
    if paths.base is None:
        return StartingPoint(registry.build(settings, vocabulary, spec.training.seed), None)
    verify(paths.base)
    if method == "lora":
        return _beside(spec, paths.base, placement, settings, vocabulary, kl_weight)
    model = registry.skeleton(settings, vocabulary)
    weights = version.weights_to_train_on(paths.base, trunk=spec.training.schedule == "wsd")
    registry.fill(model, {name: weight.clone().requires_grad_() for name, weight in weights.items()})
    reference = ReferenceModel(version.load(paths.base, placement).model, kl_weight) if kl_weight else None
    return StartingPoint(model, reference)


def adapter_and_base(spec: RunSpec, folder: Path, stored: StoredWeights, model: LanguageModel) -> tuple[Adapter, Base]:
    """The adapter of the version in ``folder`` and its base, or a new one for that version itself.

    Raises:
        ArtifactError: the base is another one, or missing.
    """
    manifest = read_manifest(folder)
    if stored.adapter is not None and manifest.base is not None:
        return stored.adapter, manifest.base
    lora = spec.training.lora
    config = AdapterConfig(rank=lora.rank, alpha=lora.alpha, base_name=_called(manifest))
    return adapters.new(model, config, spec.training.seed), Base(version=manifest.version, sha256=manifest.sha256)


def _beside(
    spec: RunSpec,
    folder: Path,
    placement: Placement,
    settings: ModelSettings,
    vocabulary: int,
    kl_weight: float,
) -> StartingPoint:
    """A frozen base with an adapter beside it.

    Matrices of the base are in the dtype that products are computed in. The reference is the same base in the same
    memory, with the adapter that the version in ``folder`` serves.
    """
    model, manifest = registry.skeleton(settings, vocabulary), read_manifest(folder)
    trunk = spec.training.schedule == "wsd" and manifest.base is not None  # of a base, what serves is adapted
    stored = stored_weights.read(folder, manifest, model, trunk=trunk)
    adapter, base = adapter_and_base(spec, folder, stored, model)
    quantization = spec.training.lora.quantization or "none"
    is_kept = quantization == "none" and stored.dtype == placement.dtype  # as it is mapped
    weights = stored.base if is_kept else OneByOne(weights_file(folder, manifest))
    frozen = FrozenBase(model, weights, adapter.maps, placement.device, placement.dtype, quantization)
    frozen.under(model, adapter)
    if not kl_weight:
        return StartingPoint(model, None, adapter, base)
    reference = registry.skeleton(settings, vocabulary)
    frozen.under(reference, adapter if stored.adapter is None else adapters.read(folder, reference))
    registry.module(reference).to(placement.device).eval().requires_grad_(False)
    return StartingPoint(model, ReferenceModel(reference, kl_weight), adapter, base)


def _called(manifest: VersionManifest) -> str:
    """What a base calls itself, for programs that read the adapter."""
    said = manifest.settings.get("imported")
    name = said.get("name") if isinstance(said, dict) else None
    return name if isinstance(name, str) else f"thord version {version_name(manifest.version)}"

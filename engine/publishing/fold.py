"""An adapter becomes part of its base: a version that answers as before, has weights of its own, and is a base itself.

Merging is done in float32 from the base as it was and the whole adapter, and rounded once, to the dtype in which the
base is stored (`engine.stored_weights`). Before that is published it is compared with base and adapter computed beside
each other: programs have shipped the base itself as the merged model, and nothing said so.

Shapes: B rows, T positions, V vocabulary.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from engine import generation, version
from engine.adapters import network
from engine.adapters.adapter import Adapter
from engine.manifest import Base, Lineage, VersionManifest, verify, version_name
from engine.models import registry
from engine.models.base import LanguageModel
from engine.tokenizers import registry as tokenizers
from engine.version import VersionConfig

TOLERANCES = {torch.float32: 1e-4, torch.bfloat16: 5e-2, torch.float16: 1e-2}
"""How far a logit may move by folding, as a share of the largest: what rounding to this dtype does."""
_MOST_LOST = 0.5
"""Of what the adapter does to the logits."""
_ROWS, _TOKENS, _SEED = 2, 32, 0


class UnfoldableError(Exception):
    """There is nothing to fold, or what was learned would be lost; the message says which."""


def publish(source: Path, target: Path, number: int) -> VersionManifest:
    """Publish the adapter in ``source``, merged into its base, as version ``number`` at ``target``.

    Takes memory for the merged weights as they are stored, and for one copy in float32.

    Raises:
        UnfoldableError: ``source`` is not an adapter, or merging would not give what it answers now.
        ArtifactError: ``source`` or its base is damaged, or there is another version at ``target``.
        OSError: the disk is full or refused.
    """
    manifest, stored = verify(source), version.weights_of(source)
    if stored.adapter is None or manifest.base is None:
        raise UnfoldableError(
            f"version {version_name(manifest.version)} has weights of its own, not an adapter: there is nothing to fold"
        )
    config = version.read_config(source)
    merged = {name: stored.get(name) for name in stored.names}
    _check(config, stored.base, stored.adapter, merged, version_name(manifest.version))
    words = tokenizers.load(config.tokenizer, source)
    lineage = _lineage(manifest, manifest.base, number)
    return version.publish(target, merged, config.model, words, lineage, generation_config=generation.read(source))


def _lineage(adapter: VersionManifest, base: Base, number: int) -> Lineage:
    """What the adapter's version says of itself holds for this one: it is the same model."""
    return Lineage(
        version=number,
        parent=adapter.version,
        cycle=None,
        snapshot_sha256=adapter.snapshot_sha256,
        seed=adapter.seed,
        settings=adapter.settings
        | {"folded": {"adapter": version_name(adapter.version), "base": version_name(base.version)}},
        training_seconds=adapter.training_seconds,
        metrics=adapter.metrics,
        pretrained=adapter.is_pretrained,
    )


def _check(
    config: VersionConfig, base: Mapping[str, Tensor], adapter: Adapter, merged: Mapping[str, Tensor], name: str
) -> None:
    """Whether merged weights answer as the adapter beside its base does, and otherwise than the base alone."""
    ids_BT = torch.randint(
        config.vocabulary,
        (_ROWS, min(_TOKENS, config.model.shape.context)),
        generator=torch.Generator().manual_seed(_SEED),
    )
    alone_BTV, beside_BTV = _of_base(config, base, adapter, ids_BT)
    folded_BTV = _logits(_filled(config, merged), ids_BT)
    dtype = base[min(base)].dtype
    learned, lost = (float((each - beside_BTV).abs().max()) for each in (alone_BTV, folded_BTV))
    if not learned:
        raise UnfoldableError(f"the adapter of version {name} changes nothing: there is nothing to fold")
    if not lost <= TOLERANCES[dtype] * float(beside_BTV.abs().max()):  # NaN too
        raise UnfoldableError(
            f"version {name} merged into its base would answer differently: a logit moves by {lost:.3g}, more than "
            f"rounding to {dtype} explains; its files or its base may be damaged"
        )
    if lost > _MOST_LOST * learned:
        raise UnfoldableError(
            f"the adapter of version {name} changes so little that rounding to {dtype}, in which its base is stored, "
            "would lose it; let it learn on, and fold it later"
        )


def _of_base(
    config: VersionConfig, base: Mapping[str, Tensor], adapter: Adapter, ids_BT: Tensor
) -> tuple[Tensor, Tensor]:
    """Logits [B, T, V] of a base alone, and with an adapter beside it."""
    model = _filled(config, base)
    alone_BTV = _logits(model, ids_BT)
    network.attach(model, adapter)
    return alone_BTV, _logits(model, ids_BT)


def _filled(config: VersionConfig, weights: Mapping[str, Tensor]) -> LanguageModel:
    """A model in float32."""
    model = registry.skeleton(config.model, config.vocabulary)
    registry.fill(model, {name: weight.float() for name, weight in weights.items()})
    registry.module(model).eval()
    return model


@torch.no_grad()
def _logits(model: LanguageModel, ids_BT: Tensor) -> Tensor:
    places_BT = torch.arange(ids_BT.shape[1]).expand_as(ids_BT)
    return model.logits(model.hidden(ids_BT, places_BT, torch.zeros_like(ids_BT)))

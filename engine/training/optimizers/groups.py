"""The groups of weights that optimizers treat differently.

| group      | weights                                        | decay                    | under ``muon`` |
| ---------- | ---------------------------------------------- | ------------------------ | -------------- |
| matrices   | two or more dimensions, between the layers     | `weight_decay`           | Muon           |
| embeddings | rows looked up or scored: embeddings and heads | `embedding_weight_decay` | AdamW          |
| others     | norms, biases, factors of an adapter           | none                     | AdamW          |
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from torch import nn

from engine.adapters.adapter import A, B
from engine.config.training import TrainingSettings


@dataclass(frozen=True)
class WeightGroup:
    """Weights by name that decay alike."""

    weights: dict[str, nn.Parameter]
    weight_decay: float


@dataclass(frozen=True)
class WeightGroups:
    """All weights of a model."""

    matrices: WeightGroup
    embeddings: WeightGroup
    others: WeightGroup


def groups(
    weights: Mapping[str, nn.Parameter], embeddings: Collection[str], settings: TrainingSettings
) -> WeightGroups:
    """The weights by group, each in one; ``embeddings`` are names, as the facts of the model's family have them."""
    rest = {name: weight for name, weight in weights.items() if name not in embeddings}
    matrices = {name: weight for name, weight in rest.items() if weight.ndim >= 2 and not name.endswith((A, B))}
    return WeightGroups(
        matrices=WeightGroup(matrices, settings.weight_decay),
        embeddings=WeightGroup(
            {name: weight for name, weight in weights.items() if name in embeddings}, settings.embedding_weight_decay
        ),
        others=WeightGroup({name: weight for name, weight in rest.items() if name not in matrices}, 0.0),
    )

"""Optimizers by name."""

from collections.abc import Collection, Mapping

import torch
from torch import nn

from engine.config.training import TrainingSettings
from engine.training.optimizers.adamw import AdamW
from engine.training.optimizers.base import Optimizer, Together
from engine.training.optimizers.groups import groups
from engine.training.optimizers.muon import Muon


def make(
    weights: Mapping[str, nn.Parameter], embeddings: Collection[str], settings: TrainingSettings, dtype: torch.dtype
) -> Optimizer:
    """The optimizer that the settings name, for weights by name; Muon multiplies its matrices in ``dtype``."""
    parts = groups(weights, embeddings, settings)
    if settings.optimizer == "muon":
        muon = Muon(parts.matrices.weights, parts.matrices.weight_decay, dtype)
        return Together([muon, AdamW([parts.embeddings, parts.others], settings)])
    if settings.optimizer == "adamw8bit":
        from engine.training.optimizers.adamw8bit import AdamW8bit  # torchao, an extra, takes seconds to import

        return AdamW8bit([parts.matrices, parts.embeddings, parts.others], settings)
    return AdamW([parts.matrices, parts.embeddings, parts.others], settings)

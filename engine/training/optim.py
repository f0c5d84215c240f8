"""Optimizers with their state by parameter name, and the groups of weights they treat differently.

| group      | weights                                        | decay                    | under ``muon`` |
| ---------- | ---------------------------------------------- | ------------------------ | -------------- |
| matrices   | two or more dimensions, between the layers     | `weight_decay`           | Muon           |
| embeddings | rows looked up or scored: embeddings and heads | `embedding_weight_decay` | AdamW          |
| others     | norms, biases                                  | none                     | AdamW          |
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

from engine.config.training import TrainingSettings
from engine.training.muon import Muon

EPSILON = 1e-8
_EMBEDDINGS = re.compile(r"(^|\.)(embed_tokens|wte|wpe|lm_head|embedding|head|places|start)(\.weight)?$")


class Optimizer(Protocol):
    """Moves weights by their gradients."""

    def step(self, rate: float) -> None:
        """Move every weight that has a gradient."""
        ...

    def state(self) -> dict[str, Tensor]:
        """All that the next step depends on besides weights and gradients, by name; the tensors themselves."""
        ...

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """The inverse of `state`; names that are not its own are of no account."""
        ...


@dataclass(frozen=True)
class Group:
    """Weights by name that decay alike."""

    weights: dict[str, nn.Parameter]
    weight_decay: float


@dataclass(frozen=True)
class Groups:
    """All weights of a model."""

    matrices: Group
    embeddings: Group
    others: Group


def make(model: nn.Module, settings: TrainingSettings, dtype: torch.dtype) -> Optimizer:
    """The optimizer that the settings name; Muon multiplies its matrices in ``dtype``."""
    parts = groups(model, settings)
    if settings.optimizer == "muon":
        muon = Muon(parts.matrices.weights, parts.matrices.weight_decay, dtype)
        return Together([muon, AdamW([parts.embeddings, parts.others], settings)])
    if settings.optimizer == "adamw8bit":
        from engine.training.adamw8bit import AdamW8bit  # torchao, an extra, takes seconds to import

        return AdamW8bit([parts.matrices, parts.embeddings, parts.others], settings)
    return AdamW([parts.matrices, parts.embeddings, parts.others], settings)


def groups(model: nn.Module, settings: TrainingSettings) -> Groups:
    """The weights of ``model`` by group, each in one."""
    weights = dict(model.named_parameters())
    embeddings = {name: weight for name, weight in weights.items() if _EMBEDDINGS.search(name)}
    rest = {name: weight for name, weight in weights.items() if name not in embeddings}
    return Groups(
        matrices=Group({name: weight for name, weight in rest.items() if weight.ndim >= 2}, settings.weight_decay),
        embeddings=Group(embeddings, settings.embedding_weight_decay),
        others=Group({name: weight for name, weight in rest.items() if weight.ndim < 2}, 0.0),
    )


class AdamW:
    """Torch's fused AdamW (Loshchilov and Hutter, 1711.05101).

    Not `torch.optim.AdamW`, which knows its parameters by number and loads torch's compiler, for a second each run.
    """

    def __init__(self, parts: Sequence[Group], settings: TrainingSettings) -> None:
        self._settings = settings
        self._groups = parts
        weights = {name: weight for group in parts for name, weight in group.weights.items()}
        self._means = {name: torch.zeros_like(weight) for name, weight in weights.items()}
        self._squares = {name: torch.zeros_like(weight) for name, weight in weights.items()}
        self._steps = {name: torch.zeros((), device=weight.device) for name, weight in weights.items()}

    def step(self, rate: float) -> None:
        """As the Protocol."""
        for group in self._groups:
            self._step(group, rate)

    def state(self) -> dict[str, Tensor]:
        """As the Protocol: ``mean.``, ``square.`` and ``step.NAME``."""
        parts = {"mean": self._means, "square": self._squares, "step": self._steps}
        return {f"{part}.{name}": tensor for part, tensors in parts.items() for name, tensor in tensors.items()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """As the Protocol."""
        for name, tensor in self.state().items():
            tensor.copy_(state[name])

    @torch.no_grad()
    def _step(self, group: Group, rate: float) -> None:
        moved = {name: weight.grad for name, weight in group.weights.items() if weight.grad is not None}
        adamw(
            [group.weights[name] for name in moved],
            list(moved.values()),
            [self._means[name] for name in moved],
            [self._squares[name] for name in moved],
            [],
            [self._steps[name] for name in moved],
            fused=True,
            amsgrad=False,
            beta1=self._settings.beta1,
            beta2=self._settings.beta2,
            lr=rate,
            weight_decay=group.weight_decay,
            eps=EPSILON,
            maximize=False,
        )


class Together:
    """Several optimizers, each for weights of its own, as one."""

    def __init__(self, parts: Sequence[Optimizer]) -> None:
        self._parts = parts

    def step(self, rate: float) -> None:
        """As the Protocol."""
        for part in self._parts:
            part.step(rate)

    def state(self) -> dict[str, Tensor]:
        """As the Protocol."""
        return {name: tensor for part in self._parts for name, tensor in part.state().items()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """As the Protocol."""
        for part in self._parts:
            part.restore(state)

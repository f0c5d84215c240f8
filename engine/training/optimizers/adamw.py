"""Torch's fused AdamW, its state by parameter name."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.optim.adamw import adamw

from engine.config.training import TrainingSettings
from engine.training.optimizers.groups import WeightGroup

EPSILON = 1e-8


class AdamW:
    """Torch's fused AdamW (Loshchilov and Hutter, 1711.05101).

    Not `torch.optim.AdamW`, which knows its parameters by number and loads torch's compiler, for a second each run.
    """

    def __init__(self, parts: Sequence[WeightGroup], settings: TrainingSettings) -> None:
        self._settings = settings
        self._groups = parts
        weights = {name: weight for group in parts for name, weight in group.weights.items()}
        self._means = {name: torch.zeros_like(weight) for name, weight in weights.items()}
        self._squares = {name: torch.zeros_like(weight) for name, weight in weights.items()}
        self._steps = {name: torch.zeros((), device=weight.device) for name, weight in weights.items()}

    def step(self, rate: float) -> None:
        """Move every weight that has a gradient."""
        for group in self._groups:
            self._step(group, rate)

    def state(self) -> dict[str, Tensor]:
        """The state by name: ``mean.``, ``square.`` and ``step.NAME``."""
        parts = {"mean": self._means, "square": self._squares, "step": self._steps}
        return {f"{part}.{name}": tensor for part, tensors in parts.items() for name, tensor in tensors.items()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """The inverse of `state`; other names are ignored."""
        for name, tensor in self.state().items():
            tensor.copy_(state[name])

    @torch.no_grad()
    def _step(self, group: WeightGroup, rate: float) -> None:
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

"""AdamW with its state by parameter name, and learning rate schedules as pure functions."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

from engine.config import TrainingSettings

_EPSILON = 1e-8


class AdamW:
    """Torch's fused AdamW (Loshchilov and Hutter, 1711.05101); weights decay in matrices only, not in norms.

    Not `torch.optim.AdamW`, which knows its parameters by number and loads torch's compiler, for a second each run.
    """

    def __init__(self, model: nn.Module, settings: TrainingSettings) -> None:
        self._settings = settings
        weights = dict(model.named_parameters())
        self._matrices = {name: weight for name, weight in weights.items() if weight.ndim >= 2}
        self._others = {name: weight for name, weight in weights.items() if weight.ndim < 2}
        self._means = {name: torch.zeros_like(weight) for name, weight in weights.items()}
        self._squares = {name: torch.zeros_like(weight) for name, weight in weights.items()}
        self._steps = {name: torch.zeros((), device=weight.device) for name, weight in weights.items()}

    def step(self, rate: float) -> None:
        """Move every weight by its gradient."""
        self._step(self._matrices, rate, self._settings.weight_decay)
        self._step(self._others, rate, 0.0)

    def state(self) -> dict[str, Tensor]:
        """All that the next step depends on besides weights and gradients: ``mean.``, ``square.``, ``step.NAME``."""
        parts = {"mean": self._means, "square": self._squares, "step": self._steps}
        return {f"{part}.{name}": tensor for part, tensors in parts.items() for name, tensor in tensors.items()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """The inverse of `state`."""
        for name, tensor in self.state().items():
            tensor.copy_(state[name])

    @torch.no_grad()
    def _step(self, weights: Mapping[str, Tensor], rate: float, weight_decay: float) -> None:
        moved = {name: weight.grad for name, weight in weights.items() if weight.grad is not None}
        adamw(
            [weights[name] for name in moved],
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
            weight_decay=weight_decay,
            eps=_EPSILON,
            maximize=False,
        )


def learning_rate(step: int, steps: int, settings: TrainingSettings) -> float:
    """The rate of step ``step`` (from 0) of ``steps``.

    A linear rise over ``warmup_share`` of the steps, then constant, or a line or half a cosine down to ``final_share``
    of the peak, which the last step has.
    """
    warmup = math.ceil(settings.warmup_share * steps)
    if step < warmup:
        return settings.learning_rate * (step + 1) / warmup
    if settings.schedule == "constant":
        return settings.learning_rate
    done = (step - warmup) / max(1, steps - 1 - warmup)
    height = 1.0 - done if settings.schedule == "linear" else (1.0 + math.cos(math.pi * done)) / 2
    return settings.learning_rate * (settings.final_share + (1.0 - settings.final_share) * height)

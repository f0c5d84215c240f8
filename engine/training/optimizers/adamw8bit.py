"""AdamW whose moments take one byte a weight each instead of four (Dettmers et al., 2110.02861).

A moment is kept as codes of eight bits and a scale for each block of 256 weights. Those states are torchao's. Its own
optimizer compiles its step anew for every shape, which needs a C++ compiler on a processor and took minutes there; so
this one unpacks the moments of one weight at a time, takes torch's fused step, and packs them again.

The boundary to torchao, which has no types.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw
from torchao.optim.subclass_8bit import OptimState8bit

from engine.config.training import TrainingSettings
from engine.training.optimizers.adamw import EPSILON
from engine.training.optimizers.groups import WeightGroup

_BLOCK = 256
_SMALLEST = 4096
"""Smaller weights keep their moments whole, as in the paper's own implementation."""


class AdamW8bit:
    """Implements `engine.training.optimizers.base.Optimizer`."""

    def __init__(self, parts: Sequence[WeightGroup], settings: TrainingSettings) -> None:
        self._settings = settings
        self._groups = parts
        weights = {name: weight for group in parts for name, weight in group.weights.items()}
        self._means = {name: _moment(weight, signed=True) for name, weight in weights.items()}
        self._squares = {name: _moment(weight, signed=False) for name, weight in weights.items()}
        self._steps = {name: torch.zeros((), device=weight.device) for name, weight in weights.items()}

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Move every weight that has a gradient."""
        for group in self._groups:
            for name, weight in group.weights.items():
                if weight.grad is not None:
                    self._step(name, weight, weight.grad, rate, group.weight_decay)

    def state(self) -> dict[str, Tensor]:
        """The state by name: ``mean.``, ``square.`` and ``step.NAME``; of packed moments codes and scales."""
        parts = {"mean": self._means, "square": self._squares}
        moments = {f"{part}.{name}": moment for part, held in parts.items() for name, moment in held.items()}
        found = {f"step.{name}": step for name, step in self._steps.items()}
        for name, moment in moments.items():
            if isinstance(moment, OptimState8bit):
                found |= {f"codes.{name}": moment.codes, f"scale.{name}": moment.scale}
            else:
                found[name] = moment
        return found

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """The inverse of `state`; other names are ignored."""
        for name, tensor in self.state().items():
            tensor.copy_(state[name])

    def _step(self, name: str, weight: nn.Parameter, gradient: Tensor, rate: float, weight_decay: float) -> None:
        mean, square = _whole(self._means[name]), _whole(self._squares[name])
        adamw(
            [weight], [gradient], [mean], [square], [], [self._steps[name]],
            fused=True, amsgrad=False, beta1=self._settings.beta1, beta2=self._settings.beta2, lr=rate,
            weight_decay=weight_decay, eps=EPSILON, maximize=False,
        )  # fmt: skip
        for held, moment in ((self._means[name], mean), (self._squares[name], square)):
            if held is not moment:
                held.copy_(moment)


def _moment(weight: Tensor, *, signed: bool) -> Tensor:
    """Zeros: packed, where the weight is large and fills its blocks."""
    if weight.numel() < _SMALLEST or weight.numel() % _BLOCK:
        return torch.zeros_like(weight)
    packed: Tensor = OptimState8bit.zeros(weight.shape, signed, _BLOCK, weight.device, dtype=weight.dtype)
    return packed


def _whole(moment: Tensor) -> Tensor:
    """In floating point; itself, where it is not packed."""
    return moment.dequantize() if isinstance(moment, OptimState8bit) else moment

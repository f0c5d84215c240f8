"""Muon: momentum whose matrix is made orthogonal before it moves a weight.

Sources: Jordan et al., Muon (kellerjordan.github.io/posts/muon, 2024); Liu et al., Muon is Scalable for LLM Training
(2502.16982), whose scale makes a step about as large as AdamW's, so that both take one learning rate and weight decay.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

_MOMENTUM = 0.95
_ROUNDS = 5
_A, _B, _C = 3.4445, -4.7750, 2.0315
"""The quintic whose slope at zero is steepest while singular values still end near one (Jordan)."""
_LIKE_ADAMW = 0.2
_EPSILON = 1e-7


class Muon:
    """For matrices between layers; implements `engine.training.optimizers.base.Optimizer`."""

    def __init__(self, weights: Mapping[str, nn.Parameter], weight_decay: float, dtype: torch.dtype) -> None:
        """``dtype`` is what its products run in; float16 has too small a range, and gives way to float32."""
        self._weights = weights
        self._weight_decay = weight_decay
        self._dtype = torch.float32 if dtype == torch.float16 else dtype
        self._momenta = {name: torch.zeros_like(weight) for name, weight in weights.items()}

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Move every weight that has a gradient."""
        for name, weight in self._weights.items():
            if weight.grad is None:
                continue
            momentum = self._momenta[name]
            momentum.lerp_(weight.grad, 1 - _MOMENTUM)
            ahead = weight.grad.lerp(momentum, _MOMENTUM)  # Nesterov
            change = orthogonal(ahead.to(self._dtype)).to(weight.dtype)
            weight.mul_(1 - rate * self._weight_decay)
            weight.add_(change, alpha=-rate * _LIKE_ADAMW * math.sqrt(max(weight.shape)))

    def state(self) -> dict[str, Tensor]:
        """The state by name: ``momentum.NAME``."""
        return {f"momentum.{name}": tensor for name, tensor in self._momenta.items()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """The inverse of `state`; other names are ignored."""
        for name, tensor in self.state().items():
            tensor.copy_(state[name])


def orthogonal(matrix: Tensor) -> Tensor:
    """About ``U V'`` of the singular value decomposition ``U S V'``, by Newton-Schulz: products only."""
    if matrix.shape[0] > matrix.shape[1]:
        upright: Tensor = orthogonal(matrix.mT).mT
        return upright
    x: Tensor = matrix / matrix.norm().clamp(min=_EPSILON)
    for _ in range(_ROUNDS):
        gram = x @ x.mT
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=_B, alpha=_C), x, beta=_A)
    return x

"""What is trained: the tensors of a model that a run changes, by name, whether all of them or an adapter's.

Optimizer, average, clipping, checkpoints, resume and distribution know a model's weights by this alone: a weight that
needs no gradient has no moments, no average and no place in a checkpoint.
"""

from collections.abc import Mapping
from typing import NoReturn

import torch
from torch import Tensor, nn

from engine.artifacts import ArtifactError


class TrainedWeights:
    """The weights of a module that need gradients. Made once they are where they stay: after `World.spread`.

    Attributes:
        by_name: the parameters themselves.
    """

    def __init__(self, module: nn.Module) -> None:
        self.by_name: dict[str, nn.Parameter] = {
            name: weight for name, weight in module.named_parameters() if weight.requires_grad
        }
        self._is_part = len(self.by_name) < sum(1 for _ in module.parameters())

    def state(self) -> dict[str, Tensor]:
        """The tensors by name, without their gradients: what a checkpoint and a version hold."""
        return {name: weight.detach() for name, weight in self.by_name.items()}

    def part(self) -> dict[str, Tensor]:
        """Copies of them, where the module has others that stay as they are; else none, for they are all of it."""
        return {name: weight.clone() for name, weight in self.state().items()} if self._is_part else {}

    @torch.no_grad()
    def restore(self, state: Mapping[str, Tensor]) -> None:
        """The inverse of `state`.

        Raises:
            ArtifactError: a name is missing or not expected: these are the weights of another run.
        """
        if state.keys() != self.by_name.keys():
            _refuse(state, self.by_name)
        for name, weight in self.by_name.items():
            weight.copy_(state[name])

    def clip(self, max_norm: float, scale: float) -> Tensor:
        """Divide the gradients by ``scale``, then bring their norm under ``max_norm``; the norm between the two."""
        if scale != 1.0:
            for weight in self.by_name.values():
                if weight.grad is not None:
                    weight.grad /= scale
        return torch.nn.utils.clip_grad_norm_(self.by_name.values(), max_norm)

    def forget_gradients(self) -> None:
        """Let go of all gradients."""
        for weight in self.by_name.values():
            weight.grad = None


def _refuse(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> NoReturn:
    missing, surplus = sorted(expected.keys() - state.keys()), sorted(state.keys() - expected.keys())
    raise ArtifactError(
        f"the checkpoint is of another kind of run: tensors missing: {missing[:3]}, not expected: {surplus[:3]}"
    )

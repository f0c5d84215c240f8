"""Data parallel: every rank has the whole model and a part of each step's rows; torch's DDP averages gradients.

A boundary module: `torch.autograd.Function` and DDP have few types.

Gradients are averaged after all microbatches of a step, not while the last one is computed: ranks agree first that each
of them had memory enough, so one that had not can be waited for.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn.parallel import DistributedDataParallel

from engine.distributed.checkpoints import SharedCheckpoints
from engine.distributed.group import Group
from engine.training.checkpoint import Checkpoints, Marked


class Replicated(Group):
    """Implements `engine.training.world.World`."""

    whole = True
    _copies: DistributedDataParallel

    def spread(self, model: nn.Module, blocks: Sequence[nn.Module]) -> None:
        """Begin on every rank with the weights of rank 0."""
        self._copies = DistributedDataParallel(_Touched(model))

    def own_part(self, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The tensors themselves: every rank holds all of them."""
        return tensors

    def reduce_gradients(self) -> None:
        """Let DDP find every gradient just arrived; what was accumulated is averaged, bucket by bucket."""
        torch.autograd.backward(self._copies())

    def gathered(self, value: Tensor) -> Tensor:
        """The value itself, which every rank has."""
        return value

    def measured(self) -> None:
        """Do nothing: no weights were gathered."""

    def any_short(self, short: bool, halvings: int) -> bool:
        """Whether memory ran out on a rank; none is in the middle of something with others."""
        return self.any(short)

    def checkpoints(self, folder: Path, keep: int, marked: Marked) -> Checkpoints:
        """Written by rank 0, read by all."""
        return SharedCheckpoints(self, folder, keep, marked)


class _Touched(nn.Module):
    """A model whose forward pass is nothing but a graph that leads back to every weight."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self._model = model

    def forward(self) -> Tensor:
        """A scalar whose gradient adds nothing."""
        touched: Tensor = _touch(*self._model.parameters())
        return touched


class _Touch(Function):
    """Depends on all weights, and changes no gradient."""

    count: int

    @staticmethod
    def forward(ctx: "_Touch", *weights: Tensor) -> Tensor:
        ctx.count = len(weights)
        return weights[0].new_zeros(())

    @staticmethod
    def backward(ctx: "_Touch", gradient: Tensor) -> tuple[None, ...]:
        return (None,) * ctx.count


class _Apply(Protocol):
    def __call__(self, *weights: Tensor) -> Tensor: ...


_touch: _Apply = _Touch.apply

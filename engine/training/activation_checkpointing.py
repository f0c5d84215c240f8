"""Gradient checkpointing: a block's activations are dropped on the way forward, and computed again on the way back.

Not `torch.utils.checkpoint`, which loads torch's compiler, for four seconds each run. What is dropped by dropout is
dropped again: the random state of the first pass comes back for the second.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.autograd import Function

from engine.config.training import Recompute
from engine.training.objectives import gradients

_SELECTED = 2
"""``selective`` computes every second block again: half of the memory for a sixth of the time."""


class NothingToRecomputeError(ValueError):
    """The family has no blocks; the message says what to do."""


def apply(blocks: Sequence[nn.Module], which: Recompute) -> None:
    """Have a model's blocks computed again in training.

    Raises:
        NothingToRecomputeError: there are none.
    """
    if which == "none":
        return
    if not blocks:
        raise NothingToRecomputeError(
            f"training.activation_checkpointing = '{which}': this model family has no blocks to "
            "compute again; set it to 'none'"
        )
    for block in blocks if which == "full" else blocks[::_SELECTED]:
        _wrap(block)


def _wrap(block: nn.Module) -> None:
    forward = block.forward

    def forward_again(x: Tensor, *others: object) -> Tensor:
        if not (torch.is_grad_enabled() and block.training):
            plain: Tensor = forward(x, *others)
            return plain
        return _compute(x, _Pass(lambda again: forward(again, *others), x.device))

    block.forward = forward_again


class _Pass:
    """A function, and the random state and autocast in which it is computed, each time the same."""

    def __init__(self, function: Callable[[Tensor], Tensor], device: torch.device) -> None:
        self._function = function
        self._device = device
        self._random = torch.get_rng_state()
        self._random_cuda = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
        self._dtype = torch.get_autocast_dtype(device.type) if torch.is_autocast_enabled(device.type) else None

    def compute(self, x: Tensor) -> Tensor:
        """Without autocast's store of cast weights: what is cast here without gradients would be used again with."""
        with torch.autocast(self._device.type, self._dtype, enabled=self._dtype is not None, cache_enabled=False):
            return self._function(x)

    def compute_again(self, x: Tensor) -> Tensor:
        """The same, with the random state of then."""
        with torch.random.fork_rng([self._device] if self._random_cuda is not None else []):
            torch.set_rng_state(self._random)
            if self._random_cuda is not None:
                torch.cuda.set_rng_state(self._random_cuda, self._device)
            return self.compute(x)


class _Again(Function):
    """A function of one tensor. The weights in it get their gradients by a backward pass of their own."""

    work: _Pass

    @staticmethod
    def forward(ctx: "_Again", x: Tensor, work: _Pass) -> Tensor:
        ctx.work = work
        ctx.save_for_backward(x)
        return work.compute(x)

    @staticmethod
    def backward(ctx: "_Again", gradient: Tensor) -> tuple[Tensor, None]:
        x = ctx.saved_tensors[0].detach().requires_grad_()
        with torch.enable_grad():
            gradients.backward(ctx.work.compute_again(x), gradient)
        assert x.grad is not None
        return x.grad, None


_compute: Callable[[Tensor, _Pass], Tensor] = _Again.apply

"""Activation checkpointing: a block's activations are dropped on the way forward, and computed again on the way back.

By `torch.utils.checkpoint`, whose first use loads torch's compiler: 1.3 s and 80 MB, only where it is asked for.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from engine.config.training import ActivationCheckpointing

_SELECTED = 2
"""``selective`` computes every second block again: half of the memory for a sixth of the time."""


class NoBlocksError(ValueError):
    """The family has no blocks; the message says what to do."""


def apply(blocks: Sequence[nn.Module], which: ActivationCheckpointing) -> None:
    """Have a model's blocks computed again in training, each as a whole.

    Raises:
        NoBlocksError: there are none.
    """
    if which == "none":
        return
    if not blocks:
        raise NoBlocksError(
            f"training.activation_checkpointing = '{which}': this model family has no blocks to "
            "compute again; set it to 'none'"
        )
    for block in blocks if which == "full" else blocks[::_SELECTED]:
        _wrap(block)


def _wrap(block: nn.Module) -> None:
    from torch.utils.checkpoint import checkpoint

    forward = block.forward

    def uncached(x: Tensor, *others: object) -> Tensor:
        """Without autocast's store of cast weights, which would hold all of them until the step ends."""
        kind = x.device.type
        dtype = torch.get_autocast_dtype(kind)
        with torch.autocast(kind, dtype, enabled=torch.is_autocast_enabled(kind), cache_enabled=False):
            out: Tensor = forward(x, *others)
        return out

    def forward_again(x: Tensor, *others: object) -> Tensor:
        if not (torch.is_grad_enabled() and block.training):
            plain: Tensor = forward(x, *others)
            return plain
        again: Tensor = checkpoint(uncached, x, *others, use_reentrant=False)
        return again

    block.forward = forward_again

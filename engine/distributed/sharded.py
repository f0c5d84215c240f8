"""Fully sharded: each rank keeps a part of every weight, gradient and optimizer state; torch's FSDP2 gathers a block's
weights for as long as it is computed (Zhao et al., 2304.11277).

A boundary module: FSDP2 changes the class of a module, and DTensor has few types.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor, distribute_tensor

from engine.distributed.checkpoints import ShardedCheckpoints
from engine.distributed.group import Group
from engine.training.checkpoint import Checkpoints, Marked
from engine.training.world import ShortOfMemoryError


class Sharded(Group):
    """Implements `engine.training.world.World`."""

    whole = False

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self._mesh = init_device_mesh(device.type, (self.size,))
        self._weights: dict[str, DTensor] = {}
        self._model: FSDPModule | None = None

    def spread(self, model: nn.Module, blocks: Sequence[nn.Module]) -> None:
        """Cut every weight by its first dimension, each block a unit that is gathered at once."""
        for block in blocks:  # what is computed again at once is gathered at once
            fully_shard(block, mesh=self._mesh)
        self._model = fully_shard(model, mesh=self._mesh)
        register_fsdp_forward_method(model, "hidden")
        self._weights = {name: weight for name, weight in model.named_parameters() if isinstance(weight, DTensor)}

    def own_part(self, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """This rank's rows of every weight, and of what optimizers and averages keep of the same shape."""
        return {name: self._own(name, tensor) for name, tensor in tensors.items()}

    def _own(self, name: str, tensor: Tensor) -> Tensor:
        weight = self._weights.get(name)
        if weight is None:
            weight = self._weights.get(name.partition(".")[2])
        if weight is None or weight.shape != tensor.shape:
            return tensor
        whole = tensor.to(weight.device)
        return distribute_tensor(whole, weight.device_mesh, weight.placements, src_data_rank=None)

    def reduce_gradients(self) -> None:
        """Do nothing: FSDP2 reduced each gradient as its block went backward."""

    def gathered(self, value: Tensor) -> Tensor:
        """The whole value, from the parts of all ranks."""
        return value.full_tensor() if isinstance(value, DTensor) else value

    def measured(self) -> None:
        """Let go of the weights outside blocks, which FSDP2 keeps for a backward pass that does not come."""
        assert self._model is not None
        self._model.reshard()

    def any_short(self, short: bool, halvings: int) -> bool:
        """Never while others go on: they wait for this rank's part of a block.

        Raises:
            ShortOfMemoryError: this rank is.
        """
        if short:
            raise ShortOfMemoryError(self.rank, halvings + 1)
        return False

    def checkpoints(self, folder: Path, keep: int, marked: Marked) -> Checkpoints:
        """Every rank writes its part, rank 0 the whole of them."""
        return ShardedCheckpoints(self, folder, keep, marked)

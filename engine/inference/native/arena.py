"""Memory for weights, which decoding reads from end to end: contiguous, and in pages of 2 MB where the system has any.

With small pages a processor looks up each in turn, and fetches nothing beyond one ahead of time.
"""

import contextlib
import mmap

import torch
from torch import Tensor

_PIECE = 64 << 20
"""Bytes asked for at once. What is not written to is not taken."""
_PAGE = 2 << 20
_ALIGNED = 64


class Arena:
    """Memory for tensors that are made once; it goes with the last of them."""

    def __init__(self) -> None:
        self._piece = memoryview(b"")

    def take(self, tensor: Tensor) -> Tensor:
        """A contiguous copy of a tensor. Of one that has no memory, the tensor itself."""
        if tensor.device.type != "cpu" or not tensor.nbytes:
            return tensor
        size = -(-tensor.nbytes // _ALIGNED) * _ALIGNED
        if size > len(self._piece):
            memory = mmap.mmap(-1, max(_PIECE, -(-size // _PAGE) * _PAGE), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
            with contextlib.suppress(OSError):  # a kernel that has none
                memory.madvise(mmap.MADV_HUGEPAGE)
            self._piece = memoryview(memory)
        here, self._piece = self._piece[: tensor.nbytes], self._piece[size:]
        return torch.frombuffer(here, dtype=tensor.dtype).view(tensor.shape).copy_(tensor)

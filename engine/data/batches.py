"""Rows as tensors, in an order that depends on nothing but seed and step."""

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.data.packing import pack
from engine.data.shard import Shard

_WIDTH_STEP = 64
"""Rows are padded to a multiple of this, so that few shapes occur and kernels are reused."""


@dataclass(frozen=True)
class Batch:
    """Packed rows [B, T]. Padding belongs to the last document of its row and is not supervised.

    Attributes:
        supervised: how many targets are learned.
        tokens: how many positions hold a token.
    """

    tokens_BT: Tensor
    positions_BT: Tensor
    documents_BT: Tensor
    targets_BT: Tensor
    supervised_BT: Tensor
    supervised: int
    tokens: int

    def to(self, device: torch.device) -> "Batch":
        """The same batch on another device."""
        if device.type == "cpu":
            return self
        return Batch(
            self.tokens_BT.to(device, non_blocking=True),
            self.positions_BT.to(device, non_blocking=True),
            self.documents_BT.to(device, non_blocking=True),
            self.targets_BT.to(device, non_blocking=True),
            self.supervised_BT.to(device, non_blocking=True),
            supervised=self.supervised,
            tokens=self.tokens,
        )


class Rows:
    """The packed rows of a shard.

    Attributes:
        supervised: how many targets all rows together supervise.
    """

    def __init__(self, shard: Shard, length: int) -> None:
        self._shard = shard
        self._packing = pack(shard, length)
        self._length = length
        self.supervised = int(shard.supervised.sum())

    def __len__(self) -> int:
        return len(self._packing)

    def batch(self, numbers: Sequence[int]) -> Batch:
        """The rows with these numbers."""
        packing, shard = self._packing, self._shard
        bounds = [(int(packing.rows[row]), int(packing.rows[row + 1])) for row in numbers]
        used = [int(packing.lengths[first:last].sum()) for first, last in bounds]
        width = min(self._length, math.ceil(max(used) / _WIDTH_STEP) * _WIDTH_STEP)
        tokens, positions, documents, targets = (np.zeros((len(bounds), width), dtype=np.int64) for _ in range(4))
        supervised = np.zeros((len(bounds), width), dtype=np.bool_)
        for row, (first, last) in enumerate(bounds):
            at = 0
            for number, piece in enumerate(range(first, last)):
                start, length = int(packing.starts[piece]), int(packing.lengths[piece])
                here, next_ones = slice(at, at + length), slice(start + 1, start + length + 1)
                tokens[row, here] = shard.ids[start : start + length]
                targets[row, here] = shard.ids[next_ones]
                supervised[row, here] = shard.supervised[next_ones]
                positions[row, at:] = np.arange(width - at)
                documents[row, at:] = number
                at += length
        return Batch(
            torch.from_numpy(tokens),
            torch.from_numpy(positions),
            torch.from_numpy(documents),
            torch.from_numpy(targets),
            torch.from_numpy(supervised),
            supervised=int(supervised.sum()),
            tokens=sum(used),
        )

    def in_order(self, batch_size: int, rank: int = 0, ranks: int = 1) -> Iterator[Batch]:
        """Every row once over all ranks, as for validation.

        Each rank gets as many batches, because they compute together: the last ones may supervise nothing.
        """
        for start in range(0, len(self), ranks * batch_size):
            first = start + rank * batch_size
            if first < len(self):
                yield self.batch(range(first, min(first + batch_size, len(self))))
            else:
                one = self.batch([0])
                yield replace(one, supervised_BT=torch.zeros_like(one.supervised_BT), supervised=0, tokens=0)

    def of_step(self, step: int, seed: int, rows: int, microbatch: int, rank: int = 0, ranks: int = 1) -> list[Batch]:
        """The ``rows`` of one training step, in microbatches: the equal share of one rank of so many.

        Rows come as an endless stream of epochs, each a permutation of its own, so every row is seen equally often.
        """
        share = rows // ranks
        stream = range(step * rows + rank * share, step * rows + (rank + 1) * share)
        numbers = [int(_permutation(seed, at // len(self), len(self))[at % len(self)]) for at in stream]
        return [self.batch(numbers[start : start + microbatch]) for start in range(0, share, microbatch)]


@functools.lru_cache(maxsize=4)
def _permutation(seed: int, epoch: int, rows: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed & 0xFFFF_FFFF_FFFF_FFFF, epoch]).permutation(rows)

"""What the loop needs of the ranks that train together, and the one process that needs none of them.

Every rank goes through the same steps and takes the same decisions, because all that decides is agreed on first: losses
and counts are sums over ranks, the gradient's norm is that of the whole, and flags count when one rank raises them.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from engine.training.checkpoint import Checkpoints, Marked


class World(Protocol):
    """The ranks of a run as one of them sees them.

    Attributes:
        rank: this one's number; rank 0 speaks and writes for all.
        size: how many there are.
        whole: every rank holds the whole model.
    """

    rank: int
    size: int
    whole: bool

    def spread(self, model: nn.Module, blocks: Sequence[nn.Module]) -> None:
        """Take a model that is equal on every rank, once, before anything refers to its weights.

        ``blocks`` are the modules in it that repeat along its depth.
        """
        ...

    def own_part(self, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Of whole tensors by name, weights or optimizer state, what this rank holds."""
        ...

    def reduce_gradients(self) -> None:
        """Turn the gradients of this rank's rows into the mean over ranks, once for each step."""
        ...

    def gathered(self, value: Tensor) -> Tensor:
        """A value that ranks hold parts of, whole."""
        ...

    def measured(self) -> None:
        """The model went forward without a step: what was gathered for it is let go of."""
        ...

    def sum(self, *numbers: float) -> list[float]:
        """Each number's sum over ranks."""
        ...

    def any(self, flag: bool) -> bool:
        """Whether the flag is set on at least one rank."""
        ...

    def any_short(self, short: bool, halvings: int) -> bool:
        """Whether memory ran out on a rank, whose microbatches were halved so often before.

        Raises:
            ShortOfMemoryError: it did here, and ranks that wait for this one cannot be told.
        """
        ...

    def barrier(self) -> None:
        """Wait until every rank is here."""
        ...

    def checkpoints(self, folder: Path, keep: int, marked: Marked) -> Checkpoints:
        """Where ranks save and find their state; arguments as for `Checkpoints`."""
        ...


class ShortOfMemoryError(Exception):
    """Memory ran out in the middle of a step that ranks compute together.

    Attributes:
        halvings: how often microbatches must have been halved when it is tried again.
    """

    def __init__(self, rank: int, halvings: int) -> None:
        super().__init__(f"rank {rank} ran out of memory; the run goes on from its checkpoint with half the microbatch")
        self.halvings = halvings


class Alone:
    """A run of one process. Implements `World` and `Ranks`."""

    rank, size, here, whole = 0, 1, 1, True

    def meet(self, device: torch.device) -> World:
        """This process alone: there are no other ranks to meet."""
        return self

    def spread(self, model: nn.Module, blocks: Sequence[nn.Module]) -> None:
        """Leave the model as it is: one rank holds all of it."""

    def own_part(self, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The tensors themselves: one rank holds all of them."""
        return tensors

    def reduce_gradients(self) -> None:
        """Do nothing: the gradients of one rank are the mean over ranks."""

    def gathered(self, value: Tensor) -> Tensor:
        """The value itself, which is whole."""
        return value

    def measured(self) -> None:
        """Do nothing: no weights were gathered."""

    def sum(self, *numbers: float) -> list[float]:
        """The numbers themselves: there is one rank."""
        return list(numbers)

    def any(self, flag: bool) -> bool:
        """The flag itself: there is one rank."""
        return flag

    def any_short(self, short: bool, halvings: int) -> bool:
        """Whether memory ran out here."""
        return short

    def barrier(self) -> None:
        """Return at once: there is no other rank to wait for."""

    def checkpoints(self, folder: Path, keep: int, marked: Marked) -> Checkpoints:
        """The checkpoints in ``folder``; arguments as for `Checkpoints`."""
        return Checkpoints(folder, keep, marked)


class Ranks(Protocol):
    """The processes that were started for a run, before they meet.

    Attributes:
        here: how many of them are on this host, and share its processors.
    """

    here: int

    def meet(self, device: torch.device) -> World:
        """Come together, once rank 0 has prepared the data; each computes on its own ``device`` of that kind."""
        ...


ALONE = Alone()

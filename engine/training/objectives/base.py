"""What an objective is, and what it learns from: the Protocols through which the loop trains, whatever it minimises."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, Self, TypeVar, runtime_checkable

import torch
from torch import Tensor

from engine.models.base import LanguageModel


class Microbatch(Protocol):
    """What is computed at once."""

    @property
    def tokens(self) -> int:
        """How many positions hold a token."""
        ...

    def to(self, device: torch.device) -> Self:
        """The same microbatch on another device."""
        ...


B = TypeVar("B", bound=Microbatch)
_Given = TypeVar("_Given", bound=Microbatch, covariant=True)
_Taken = TypeVar("_Taken", bound=Microbatch, contravariant=True)


class Source(Protocol[_Given]):
    """What a run learns from or validates on: rows in an order that depends on nothing but seed and step.

    Its length is the number of rows.
    """

    def __len__(self) -> int: ...

    def of_step(
        self, step: int, seed: int, rows: int, microbatch: int, rank: int = 0, ranks: int = 1
    ) -> Sequence[_Given]:
        """The ``rows`` of a training step, ``microbatch`` at a time: the equal share of one rank of so many.

        Epochs follow each other without end, each a permutation of all rows.
        """
        ...

    def in_order(self, batch_size: int, rank: int = 0, ranks: int = 1) -> Iterator[_Given]:
        """Every row once over all ranks, for validation. Each rank gets the same number of microbatches."""
        ...


@runtime_checkable
class Objective(Protocol[_Taken]):
    """A loss over microbatches, summed, so that the loop can divide by the weight of all microbatches of a step."""

    def weight(self, batch: _Taken) -> int:
        """How much there is to learn in ``batch``; known without computing."""
        ...

    def backward(self, model: LanguageModel, batch: _Taken, scale: float) -> dict[str, Tensor]:
        """Add the gradient of ``scale`` times the summed loss; give the sums by name, ``loss`` among them, unscaled."""
        ...

    def measure(self, model: LanguageModel, batch: _Taken) -> dict[str, Tensor]:
        """The sums by name without gradients."""
        ...


@dataclass(frozen=True)
class ReferenceModel:
    """A model to stay close to, in eval mode, on the device of the model that learns.

    ``weight`` times KL(reference, model), the divergence of the model's next-token distribution from the reference's,
    is added to the loss of every supervised token: what the reference finds likely must stay likely.
    """

    model: LanguageModel
    weight: float

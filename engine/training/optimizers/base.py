"""What an optimizer is: one Protocol, whose state is by parameter name; and several of them as one."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from torch import Tensor


class Optimizer(Protocol):
    """Moves weights by their gradients."""

    def step(self, rate: float) -> None:
        """Move every weight that has a gradient."""
        ...

    def state(self) -> dict[str, Tensor]:
        """All that the next step depends on besides weights and gradients, by name; the tensors themselves."""
        ...

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """The inverse of `state`; names that are not its own are ignored."""
        ...


class Together:
    """Several optimizers, each for weights of its own, as one."""

    def __init__(self, parts: Sequence[Optimizer]) -> None:
        self._parts = parts

    def step(self, rate: float) -> None:
        """Move every weight that has a gradient."""
        for part in self._parts:
            part.step(rate)

    def state(self) -> dict[str, Tensor]:
        """The states of all, by name."""
        return {name: tensor for part in self._parts for name, tensor in part.state().items()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """The inverse of `state`; other names are ignored."""
        for part in self._parts:
            part.restore(state)

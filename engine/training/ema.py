"""The exponential moving average of a run's weights: often better than the last ones, at the cost of a copy."""

import contextlib
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

_PREFIX = "average."


class Average:
    """Averages by name, or nothing where ``decay`` is 0 (Polyak and Juditsky, 1992).

    The first steps, in which weights move far, soon count for little: after n steps the decay is at most
    (1 + n) / (10 + n).
    """

    def __init__(self, weights: Mapping[str, Tensor], decay: float) -> None:
        self._weights = dict(weights) if decay else {}
        self._averages = {name: weight.detach().clone() for name, weight in self._weights.items()}
        self._decay = decay

    @torch.no_grad()
    def follow(self, step: int) -> None:
        """Take in the weights after ``step`` steps."""
        share = 1 - min(self._decay, (1 + step) / (10 + step))
        for name, average in self._averages.items():
            average.lerp_(self._weights[name], share)

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """Inside, the model has the averages for its weights."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def state(self) -> dict[str, Tensor]:
        """``average.NAME``, the tensors themselves."""
        return {_PREFIX + name: average for name, average in self._averages.items()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """The inverse of `state`."""
        for name, average in self._averages.items():
            average.copy_(state[_PREFIX + name])

    def _swap(self) -> None:
        for name, weight in self._weights.items():
            kept = weight.detach().clone()
            weight.detach().copy_(self._averages[name])
            self._averages[name].copy_(kept)


def averages_in(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The averages in what `Average.state` gave, by the names of the weights; empty where none were kept."""
    return {name.removeprefix(_PREFIX): tensor for name, tensor in state.items() if name.startswith(_PREFIX)}

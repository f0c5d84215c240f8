"""What a model family is: one Protocol, which training, evaluation, inference and export use and nothing else.

Shapes: B rows, T positions, D hidden, V vocabulary, N supervised positions.
"""

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from engine.families.family import Family, ModelShape


class Cache(Protocol):
    """What a model remembers of the rows it is generating: keys and values, or a recurrent state.

    For ``rows`` rows of at most ``length`` positions, which take memory as they grow. One more, of that number, is for
    padding: what is written there means nothing. A row is written from position 0
    again when it is given to another request; what it held before cannot be seen, because attention looks only at
    positions that the present request has written.
    """

    rows: int
    length: int

    @property
    def rewinds(self) -> bool:
        """A row can go on from any position that it has passed, because earlier ones are still there."""
        ...

    @property
    def held_bytes(self) -> int:
        """Bytes of memory that it has now."""
        ...

    def row_bytes(self, row: int) -> int:
        """Bytes that a row has taken, those included that it shares."""
        ...

    def bytes_for(self, positions: int) -> int:
        """Bytes that a row of so many positions takes; 0 where rows do not grow."""
        ...

    def memory_for(self, more: int) -> int:
        """Bytes of memory that must be free so that rows can take ``more`` bytes beside those that they have."""
        ...

    def copy(self, source: int, target: int, length: int) -> None:
        """Let row ``target`` begin with the first ``length`` positions of row ``source``.

        Raises:
            ValueError: this cache does not rewind, and ``source`` holds another number of positions.
        """
        ...

    def truncate(self, row: int, length: int) -> None:
        """Give the memory back of what a row holds beyond ``length`` positions, where rows grow."""
        ...


def check_context(length: int, context: int) -> None:
    """Whether a cache may have rows of ``length`` positions.

    Raises:
        ValueError: that is beyond the context the model was made for.
    """
    if length > context:
        raise ValueError(f"a cache of {length} positions is beyond the model's context of {context}")


def check_room(positions: int, cache: Cache) -> None:
    """Whether a row of a cache holds so many positions.

    Raises:
        ValueError: they are more than its length.
    """
    if positions > cache.length:
        raise ValueError(f"{positions} positions do not fit into a cache of {cache.length}")


class Decoder(Protocol):
    """What continues texts: a family's module, or something faster made of its weights for one version."""

    vocabulary: int
    context: int

    def step(self, tokens_BT: Tensor, cache: Cache, rows_B: Tensor, starts_B: Tensor) -> Tensor:
        """Hidden states [B, T, D] of the next T tokens of each of B cache rows, which it also writes into the cache.

        ``rows_B`` says which cache rows; ``starts_B`` how many positions each already holds. For the same B and T what
        comes out for a row does not depend on the other rows, bit for bit.
        """
        ...

    def logits(self, hidden_ND: Tensor) -> Tensor:
        """Scores [N, V] over the vocabulary."""
        ...

    def make_cache(self, rows: int, length: int) -> Cache:
        """A cache on the model's device and in its dtype."""
        ...

    def parameters(self, recurse: bool = True) -> Iterator[Tensor]:
        """All weights, in whatever form it holds them; tied ones come once."""
        ...


@runtime_checkable
class LanguageModel(Decoder, Protocol):
    """A family's module. It is a `torch.nn.Module` as well.

    Attributes:
        family: the facts of its family.
    """

    family: Family

    @property
    def shape(self) -> ModelShape:
        """What decides its weights, and what they compute."""
        ...

    def initialise(self, generator: torch.Generator) -> None:
        """Draw every weight."""
        ...

    def hidden(self, tokens_BT: Tensor, positions_BT: Tensor, documents_BT: Tensor) -> Tensor:
        """Hidden states of packed rows, [B, T, D].

        ``positions_BT`` counts from 0 in each document; attention never crosses from one value of ``documents_BT`` to
        another (rows are causal besides).
        """
        ...

    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]:
        """As `torch.nn.Module`; tied weights come once."""
        ...

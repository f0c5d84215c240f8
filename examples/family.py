"""A toy family in one file: the next token follows from the last one and a running mean of those before it.

Its one line in `engine.families.table.FAMILIES`, after which ``model.family = "mean"`` makes, trains and evaluates it:

    "mean": MEAN,

Here the network stands beside its record, to be read together. In thord a record is in `engine.families`, which must
not import torch, and its network in `engine.models`.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from engine.families.family import Family, ModelShape
from engine.section import Length

if TYPE_CHECKING:
    from torch import Tensor

    from engine.models.base import LanguageModel


class MeanShape(ModelShape):
    """Without keys of its own; ``layers`` has no effect."""

    layers: int = 1
    context: Length = 512


MEAN = Family(
    network="examples.family:network",
    presets={"tiny": MeanShape(hidden=64), "small": MeanShape(hidden=256)},
    default="small",
    blocks=None,
    embeddings=frozenset({"embedding", "head"}),
    heads=("head",),
)


def network(shape: MeanShape, vocabulary: int, dropout: float) -> "LanguageModel":
    """The module of a shape."""
    import torch
    from torch import nn

    from engine.models.base import Cache, check_context, check_room

    class Mean(nn.Module):
        family = MEAN

        def __init__(self) -> None:
            super().__init__()
            self.shape = shape
            self.vocabulary, self.context, self.dropout = vocabulary, shape.context, nn.Dropout(dropout)
            self.embedding = nn.Parameter(torch.empty(vocabulary, shape.hidden))
            self.mix = nn.Parameter(torch.empty(shape.hidden, 2 * shape.hidden))
            self.head = nn.Parameter(torch.empty(vocabulary, shape.hidden))

        def hidden(self, tokens_BT: "Tensor", positions_BT: "Tensor", documents_BT: "Tensor") -> "Tensor":
            x_BTD = self.embedding[tokens_BT]
            sums_BTD = x_BTD.cumsum(1)
            begins_BT = torch.arange(tokens_BT.shape[1], device=tokens_BT.device) - positions_BT
            before_BTD = (sums_BTD - x_BTD).gather(1, begins_BT[:, :, None].expand_as(x_BTD))
            return self._mixed(x_BTD, (sums_BTD - before_BTD) / (positions_BT + 1)[:, :, None])

        def step(self, tokens_BT: "Tensor", cache: Cache, rows_B: "Tensor", starts_B: "Tensor") -> "Tensor":
            if not isinstance(cache, SumCache):
                raise TypeError("a cache of another family")
            check_room(int(starts_B.max()) + tokens_BT.shape[1], cache)
            x_BTD = self.embedding[tokens_BT]
            known_BD = cache.sums[rows_B].masked_fill((starts_B == 0)[:, None], 0.0)
            sums_BTD = known_BD[:, None] + x_BTD.cumsum(1)
            cache.sums[rows_B] = sums_BTD[:, -1].detach()
            for row, start in zip(rows_B.tolist(), starts_B.tolist(), strict=True):
                cache.lengths[row] = start + tokens_BT.shape[1]
            counts_BT = starts_B[:, None] + torch.arange(1, tokens_BT.shape[1] + 1, device=tokens_BT.device)
            return self._mixed(x_BTD, sums_BTD / counts_BT[:, :, None])

        def logits(self, hidden_ND: "Tensor") -> "Tensor":
            return nn.functional.linear(hidden_ND, self.head)

        def make_cache(self, rows: int, length: int) -> "SumCache":
            check_context(length, self.context)
            return SumCache(rows, length, self.embedding.new_zeros(rows + 1, shape.hidden))

        @torch.no_grad()
        def initialise(self, generator: torch.Generator) -> None:
            for weight in self.parameters():
                weight.normal_(0.0, weight.shape[1] ** -0.5, generator=generator)

        def _mixed(self, x_BTD: "Tensor", means_BTD: "Tensor") -> "Tensor":
            mixed_BTD: Tensor = self.dropout(nn.functional.linear(torch.cat((x_BTD, means_BTD), -1), self.mix).tanh())
            return mixed_BTD

    return Mean()


@dataclass
class SumCache:
    """The sum of every row's tokens so far, [rows + 1, D]. It does not grow with a row, and cannot go back."""

    rows: int
    length: int
    sums: "Tensor"
    lengths: dict[int, int] = field(default_factory=dict)
    rewinds = False

    @property
    def held_bytes(self) -> int:
        """Bytes of all sums."""
        return self.sums.nbytes

    def row_bytes(self, row: int) -> int:
        """None: a sum does not grow."""
        del row
        return 0

    def bytes_for(self, positions: int) -> int:
        """None: a sum does not grow."""
        del positions
        return 0

    def memory_for(self, more: int) -> int:
        """Bytes that must be free for so many more."""
        return more

    def copy(self, source: int, target: int, length: int) -> None:
        """Let row ``target`` be where row ``source`` is.

        Raises:
            ValueError: the source does not have ``length`` positions; a sum cannot go back.
        """
        if self.lengths.get(source, 0) != length:
            raise ValueError(f"row {source} has {self.lengths.get(source, 0)} positions, not {length}")
        self.lengths[target] = length
        self.sums[target] = self.sums[source]

    def truncate(self, row: int, length: int) -> None:
        """Do nothing: a sum does not grow."""
        del row, length

"""The ``char_lstm`` family: an embedding, LSTM layers, and a head that may be the embedding again.

What it remembers of a row is one state, so its cache does not grow with the row and cannot go back. A row that holds
several documents is taken apart into them: each begins with an empty state.

Source: Hochreiter and Schmidhuber, Long Short-Term Memory (1997). Shape beside those of `engine.models.base`: L layers.
"""

import contextlib
import warnings
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from engine.families.char_lstm import CHAR_LSTM, CharLstmShape
from engine.models import functional
from engine.models.base import Cache, check_context, check_room

INIT_DEVIATION, EMBEDDING_DEVIATION = 0.02, 0.5
"""No norm stands between the embedding and the gates: at a deviation of 0.02 they hardly see their input, and after 500
KB of text a model knows only how frequent each byte is (5.05 bits per byte, where 0.5 leads to 3.5 in half as many)."""
_FORGET_BIAS = 1.0
"""Remember, to begin with (Jozefowicz et al., 2015)."""


@dataclass
class StateCache:
    """The state of every row and of one for padding, [L, rows + 1, D], and how many positions it comes from.

    Implements `engine.models.base.Cache`.
    """

    rows: int
    length: int
    hidden: Tensor
    cell: Tensor
    read: Tensor
    rewinds = False

    @property
    def held_bytes(self) -> int:
        """Bytes of all states."""
        return self.hidden.nbytes + self.cell.nbytes + self.read.nbytes

    def row_bytes(self, row: int) -> int:
        """None: a state does not grow."""
        del row
        return 0

    def bytes_for(self, positions: int) -> int:
        """None: a state does not grow."""
        del positions
        return 0

    def memory_for(self, more: int) -> int:
        """As much as that."""
        return more

    def truncate(self, row: int, length: int) -> None:
        """Do nothing: a state does not grow."""
        del row, length

    def copy(self, source: int, target: int, length: int) -> None:
        """Let row ``target`` be where row ``source`` is.

        Raises:
            ValueError: that is not at ``length`` positions.
        """
        if int(self.read[source]) != length:
            raise ValueError(f"an LSTM cannot go back from {int(self.read[source])} positions to {length}")
        for part in (self.hidden, self.cell):
            part[:, target] = part[:, source]
        self.read[target] = length


class CharLstm(nn.Module):
    """A language model of the family. Implements `engine.models.base.LanguageModel`."""

    family = CHAR_LSTM

    def __init__(self, shape: CharLstmShape, vocabulary: int, dropout: float) -> None:
        super().__init__()
        self.shape = shape
        self.vocabulary = vocabulary
        self.context = shape.context
        self.dropout = dropout
        self.embedding = nn.Parameter(torch.empty(vocabulary, shape.hidden))
        with warnings.catch_warnings(action="ignore"):  # "dropout has no effect with one layer": so be it
            self.lstm = nn.LSTM(shape.hidden, shape.hidden, shape.layers, batch_first=True, dropout=dropout)
        self.head = None if shape.tied else nn.Parameter(torch.empty(vocabulary, shape.hidden))

    def hidden(self, tokens_BT: Tensor, positions_BT: Tensor, documents_BT: Tensor) -> Tensor:
        """Hidden states of packed rows, [B, T, D]."""
        del positions_BT  # the order says it all
        x_BTD = self._embed(tokens_BT)
        if bool((documents_BT == documents_BT[:, :1]).all()):
            with _not_in_float16(x_BTD.device):
                y_BTD: Tensor = self.lstm(x_BTD)[0]
        else:
            order_N, sizes = _step_by_step(documents_BT)
            with _not_in_float16(x_BTD.device):
                packed: PackedSequence = self.lstm(PackedSequence(x_BTD.flatten(0, 1)[order_N], sizes))[0]
            y_BTD = torch.empty_like(packed.data).index_copy(0, order_N, packed.data).view_as(x_BTD)
        return F.dropout(y_BTD, self.dropout, self.training)

    def step(self, tokens_BT: Tensor, cache: Cache, rows_B: Tensor, starts_B: Tensor) -> Tensor:
        """Hidden states [B, T, D] of the next T tokens of B cache rows.

        Raises:
            TypeError: the cache is another family's.
            ValueError: a row would grow beyond the length of the cache, or go on from elsewhere than where it stopped.
        """
        if not isinstance(cache, StateCache):
            raise TypeError(f"char_lstm needs a state, not a {type(cache).__name__}")
        ends_B = starts_B + tokens_BT.shape[1]
        check_room(int(ends_B.max()), cache)
        begins_B = starts_B == 0
        if not bool((begins_B | (cache.read[rows_B] == starts_B)).all()):
            raise ValueError("an LSTM goes on from where it stopped, or from the beginning")
        state = tuple(part[:, rows_B].masked_fill(begins_B[:, None], 0.0) for part in (cache.hidden, cache.cell))
        y_BTD, (hidden_LBD, cell_LBD) = self.lstm(self._embed(tokens_BT), state)
        cache.hidden[:, rows_B], cache.cell[:, rows_B], cache.read[rows_B] = hidden_LBD, cell_LBD, ends_B
        out_BTD: Tensor = y_BTD
        return out_BTD

    def logits(self, hidden_ND: Tensor) -> Tensor:
        """Scores [N, V] over the vocabulary."""
        return functional.scores(hidden_ND, self.embedding if self.head is None else self.head)

    def make_cache(self, rows: int, length: int) -> StateCache:
        """A cache on the model's device and in its dtype.

        Raises:
            ValueError: ``length`` is beyond the context the model was made for.
        """
        check_context(length, self.context)

        def empty() -> Tensor:
            return self.embedding.new_zeros(self.shape.layers, rows + 1, self.shape.hidden)

        return StateCache(
            rows, length, empty(), empty(), torch.zeros(rows + 1, dtype=torch.long, device=empty().device)
        )

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        """Draw every weight: normal tables, uniform gates, and gates that remember."""
        bound = self.shape.hidden**-0.5
        for name, weight in self.named_parameters():
            if "bias" in name:
                weight.zero_()
                if "bias_ih" in name:
                    weight[self.shape.hidden : 2 * self.shape.hidden].fill_(_FORGET_BIAS)
            elif name.startswith("lstm"):
                weight.uniform_(-bound, bound, generator=generator)
            else:
                deviation = EMBEDDING_DEVIATION if name == "embedding" else INIT_DEVIATION
                weight.normal_(0.0, deviation, generator=generator)

    def _embed(self, tokens_BT: Tensor) -> Tensor:
        return F.dropout(functional.embedding(tokens_BT, self.embedding), self.dropout, self.training)


def _not_in_float16(device: torch.device) -> AbstractContextManager[object]:
    """Where products are in bf16 on a GPU, an LSTM keeps to its weights' float32.

    Autocast would have cuDNN compute it in float16 whatever its own dtype is (torch 2.13), and bf16 has no scale that
    keeps small gradients above zero there.
    """
    kind = device.type
    in_bf16 = torch.is_autocast_enabled(kind) and torch.get_autocast_dtype(kind) == torch.bfloat16
    return torch.autocast(kind, enabled=False) if kind == "cuda" and in_bf16 else contextlib.nullcontext()


def _step_by_step(documents_BT: Tensor) -> tuple[Tensor, Tensor]:
    """How an LSTM runs over all documents side by side: first token of each, second of each, ..., longest first.

    Returns:
        Where each of the B * T tokens comes from, and how many of them each time step has (on the CPU).
    """
    begins_BT = torch.ones_like(documents_BT, dtype=torch.bool)
    begins_BT[:, 1:] = documents_BT[:, 1:] != documents_BT[:, :-1]
    begins_N = begins_BT.flatten()
    starts = begins_N.nonzero().squeeze(1)
    lengths = torch.diff(starts, append=torch.tensor([len(begins_N)], device=starts.device))
    ranks = torch.empty_like(starts)
    ranks[lengths.argsort(descending=True, stable=True)] = torch.arange(len(starts), device=starts.device)
    owners_N = begins_N.cumsum(0) - 1
    times_N = torch.arange(len(begins_N), device=starts.device) - starts[owners_N]
    order_N = (times_N * len(starts) + ranks[owners_N]).argsort()
    return order_N, times_N.bincount().cpu()

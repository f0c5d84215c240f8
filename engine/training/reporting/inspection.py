"""A closer look at a run, taken rarely: how weights and gradients are spread, and what the model would write."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.data.batches import Rows
from engine.models.base import LanguageModel
from engine.tokenizers.base import Tokenizer

BINS = 30
_VALUES_LOOKED_AT = 1 << 16
"""Of a large tensor, evenly chosen: its histogram shall not cost what a step costs."""
_EXAMPLES, _TOKENS_SHOWN, _CHARACTERS_BEFORE = 3, 48, 200


@dataclass(frozen=True)
class Histogram:
    """How often values fall into bins of equal width from ``low`` to ``high``, and their mean and deviation."""

    low: float
    high: float
    counts: list[int]
    mean: float
    deviation: float


@dataclass(frozen=True)
class Prediction:
    """The end of what came before, what followed, and what was likeliest at each place given the true text before."""

    before: str
    expected: str
    predicted: str


@dataclass(frozen=True)
class Inspection:
    """Histograms by ``weights/NAME`` and ``gradients/NAME``, and examples from the validation set."""

    histograms: Mapping[str, Histogram]
    examples: Sequence[Prediction]


def histograms(weights: Mapping[str, Tensor]) -> dict[str, Histogram]:
    """Of every weight by name, and of every gradient there is."""
    found = {}
    for name, weight in weights.items():
        found[f"weights/{name}"] = histogram(weight.detach())
        if weight.grad is not None:
            found[f"gradients/{name}"] = histogram(weight.grad)
    return found


def histogram(values: Tensor) -> Histogram:
    """Of finite values in any shape; of many, those of every so many places."""
    flat_N = values.flatten()
    flat_N = flat_N[:: math.ceil(len(flat_N) / _VALUES_LOOKED_AT)].float()
    low, high = (bound.item() for bound in torch.aminmax(flat_N))
    if low == high:
        low, high = low - 0.5, high + 0.5
    counts = torch.histc(flat_N, BINS, low, high).long().tolist()
    return Histogram(low, high, counts, flat_N.mean().item(), flat_N.std(correction=0).item())


class Examples:
    """The first documents of a set of rows, to be predicted again and again."""

    def __init__(self, tokenizer: Tokenizer, rows: Rows) -> None:
        self._tokenizer = tokenizer
        self._row = rows.batch([0])

    @torch.no_grad()
    def predict(self, model: LanguageModel, device: torch.device) -> list[Prediction]:
        """One forward pass, whatever the family; the model should be in evaluation mode."""
        row = self._row.to(device)
        hidden_TD = model.hidden(row.tokens_BT, row.positions_BT, row.documents_BT)[0]
        made: list[Prediction] = []
        for number in range(int(row.documents_BT.max()) + 1):
            learned_T = (row.documents_BT[0] == number) & row.supervised_BT[0]
            places_N = learned_T.nonzero()[:_TOKENS_SHOWN, 0]
            if len(places_N) and len(made) < _EXAMPLES:
                begin_T = (row.documents_BT[0] == number).nonzero()[:, 0]
                before_N = row.tokens_BT[0, int(begin_T[0]) : int(places_N[0]) + 1]
                best_N = model.logits(hidden_TD[places_N]).argmax(-1)
                made.append(
                    Prediction(
                        self._text(before_N)[-_CHARACTERS_BEFORE:],
                        self._text(row.targets_BT[0, places_N]),
                        self._text(best_N),
                    )
                )
        return made

    def _text(self, ids_N: Tensor) -> str:
        """Special tokens are not text."""
        return self._tokenizer.decode(ids_N.tolist())

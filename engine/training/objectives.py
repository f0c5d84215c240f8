"""What is minimised: one Protocol, and the objective of language modelling and of learning from conversations."""

from collections.abc import Iterator
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.data.batches import Batch
from engine.models.base import LanguageModel

_LOGITS_AT_ONCE = 1 << 22
"""Rows times vocabulary of one piece of the head: 16 MB in float32, about what a processor's cache holds."""


class Objective(Protocol):
    """A loss over batches, summed, so that the loop can divide by the weight of all microbatches of a step."""

    def weight(self, batch: Batch) -> int:
        """How much there is to learn in ``batch``; known without computing."""
        ...

    def backward(self, model: LanguageModel, batch: Batch, scale: float) -> dict[str, Tensor]:
        """Add the gradient of ``scale`` times the summed loss; give the sums by name, ``loss`` among them, unscaled."""
        ...

    def measure(self, model: LanguageModel, batch: Batch) -> dict[str, Tensor]:
        """The sums by name without gradients."""
        ...


class MaskedCrossEntropy:
    """Cross-entropy of the supervised targets: all of a plain text, the assistant's turns of a conversation.

    The head is computed for supervised positions only, and a chunk at a time: each chunk goes forward and backward
    down to the hidden states before the next, so logits of one chunk exist at a time; then the gradient of all hidden
    states goes through the model at once.
    """

    def weight(self, batch: Batch) -> int:
        """Supervised targets."""
        return batch.supervised

    def backward(self, model: LanguageModel, batch: Batch, scale: float) -> dict[str, Tensor]:
        """As the Protocol."""
        hidden_ND, targets_N = _supervised(model, batch)
        detached_ND = hidden_ND.detach().requires_grad_()
        total = torch.zeros((), device=hidden_ND.device)
        for chunk_ND, chunk_N in _chunks(detached_ND, targets_N, model.vocabulary):
            loss = F.cross_entropy(model.logits(chunk_ND).float(), chunk_N, reduction="sum")
            torch.autograd.backward(loss * scale)
            total += loss.detach()
        assert detached_ND.grad is not None
        # a scalar whose gradient that is: given by hand, it would have torch load sympy, half a second each run
        torch.autograd.backward((hidden_ND * detached_ND.grad).sum())
        return {"loss": total}

    @torch.no_grad()
    def measure(self, model: LanguageModel, batch: Batch) -> dict[str, Tensor]:
        """As the Protocol."""
        hidden_ND, targets_N = _supervised(model, batch)
        total = torch.zeros((), device=hidden_ND.device)
        for chunk_ND, chunk_N in _chunks(hidden_ND, targets_N, model.vocabulary):
            total += F.cross_entropy(model.logits(chunk_ND).float(), chunk_N, reduction="sum")
        return {"loss": total}


def _supervised(model: LanguageModel, batch: Batch) -> tuple[Tensor, Tensor]:
    """Hidden states [N, D] and targets [N] of the supervised positions."""
    hidden_BTD = model.hidden(batch.tokens_BT, batch.positions_BT, batch.documents_BT)
    chosen_N = batch.supervised_BT.flatten().nonzero().squeeze(1)
    return hidden_BTD.flatten(0, 1).index_select(0, chosen_N), batch.targets_BT.flatten().index_select(0, chosen_N)


def _chunks(hidden_ND: Tensor, targets_N: Tensor, vocabulary: int) -> Iterator[tuple[Tensor, Tensor]]:
    rows = max(1, _LOGITS_AT_ONCE // vocabulary)
    for start in range(0, len(targets_N), rows):
        yield hidden_ND[start : start + rows], targets_N[start : start + rows]

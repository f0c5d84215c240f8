"""What is minimised: one Protocol, and the objective of language modelling and of learning from conversations."""

from collections.abc import Iterator
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Anchor:
    """A model to stay close to, in eval mode, on the device of the model that learns.

    ``weight`` times KL(anchor, model), the divergence of the model's next-token distribution from the anchor's, is
    added to the loss of every supervised token: what the anchor holds likely must stay likely.
    """

    model: LanguageModel
    weight: float


class MaskedCrossEntropy:
    """Cross-entropy of the supervised targets: all of a plain text, the assistant's turns of a conversation.

    The head is computed for supervised positions only, and a chunk at a time: each chunk goes forward and backward
    down to the hidden states before the next, so logits of one chunk exist at a time; then the gradient of all hidden
    states goes through the model at once.
    """

    def __init__(self, label_smoothing: float = 0.0, anchor: Anchor | None = None) -> None:
        self._smoothing = label_smoothing
        self._anchor = anchor

    def weight(self, batch: Batch) -> int:
        """Supervised targets."""
        return batch.supervised

    def backward(self, model: LanguageModel, batch: Batch, scale: float) -> dict[str, Tensor]:
        """As the Protocol."""
        targets_N = _supervised(batch.targets_BT, batch)
        hidden_ND = _hidden(model, batch)
        anchor_ND = self._anchor_hidden(batch)
        detached_ND = hidden_ND.detach().requires_grad_()
        total, divergence = torch.zeros((), device=hidden_ND.device), torch.zeros((), device=hidden_ND.device)
        for rows in _chunks(len(targets_N), model.vocabulary):
            logits_NV = model.logits(detached_ND[rows]).float()
            loss = F.cross_entropy(logits_NV, targets_N[rows], reduction="sum", label_smoothing=self._smoothing)
            if self._anchor and anchor_ND is not None:
                kl = _divergence(self._anchor.model, anchor_ND[rows], logits_NV)
                loss = loss + self._anchor.weight * kl
                divergence += kl.detach()
            torch.autograd.backward(loss * scale)
            total += loss.detach()
        assert detached_ND.grad is not None
        # a scalar whose gradient that is: given by hand, it would have torch load sympy, half a second each run
        torch.autograd.backward((hidden_ND * detached_ND.grad).sum())
        return {"loss": total, "kl": divergence} if self._anchor else {"loss": total}

    @torch.no_grad()
    def measure(self, model: LanguageModel, batch: Batch) -> dict[str, Tensor]:
        """As the Protocol: the mere cross-entropy, so that what is measured does not depend on how it is learned."""
        hidden_ND, targets_N = _hidden(model, batch), _supervised(batch.targets_BT, batch)
        total = torch.zeros((), device=hidden_ND.device)
        for rows in _chunks(len(targets_N), model.vocabulary):
            total += F.cross_entropy(model.logits(hidden_ND[rows]).float(), targets_N[rows], reduction="sum")
        return {"loss": total}

    @torch.no_grad()
    def _anchor_hidden(self, batch: Batch) -> Tensor | None:
        return _hidden(self._anchor.model, batch) if self._anchor else None


def _hidden(model: LanguageModel, batch: Batch) -> Tensor:
    """Hidden states [N, D] of the supervised positions."""
    return _supervised(model.hidden(batch.tokens_BT, batch.positions_BT, batch.documents_BT), batch)


def _supervised(values_BT: Tensor, batch: Batch) -> Tensor:
    """The values [N, ...] of the supervised positions."""
    return values_BT.flatten(0, 1).index_select(0, batch.supervised_BT.flatten().nonzero().squeeze(1))


def _divergence(anchor: LanguageModel, anchor_ND: Tensor, logits_NV: Tensor) -> Tensor:
    """KL(anchor, model), summed over positions."""
    with torch.no_grad():
        expected_NV = anchor.logits(anchor_ND).float().log_softmax(-1)
    return F.kl_div(logits_NV.log_softmax(-1), expected_NV, reduction="sum", log_target=True)


def _chunks(count: int, vocabulary: int) -> Iterator["slice[int, int, None]"]:
    rows = max(1, _LOGITS_AT_ONCE // vocabulary)
    for start in range(0, count, rows):
        yield slice(start, start + rows)

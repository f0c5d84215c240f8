"""What is minimised: one Protocol, and the objective of language modelling and of learning from conversations."""

from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.data.batches import Batch
from engine.models.base import LanguageModel
from engine.training import gradients
from engine.training.cross_entropy import ON_GPU_AT_ONCE, Loss, pieces

_LOGITS_AT_ONCE = 1 << 26
"""Rows times vocabulary of one chunk of the head: 128 MB in bf16. With each chunk, all of the head gets a gradient."""
_ROWS_ALIKE = 256
"""What is supervised is filled up to a multiple of it. Scores of ever new sizes would leave the heap in pieces that
none of the next fits into: a run over conversations took some 20 MB more with every step."""
_MEASURED_AT_ONCE = 1 << 22
"""The same without gradients: 16 MB in float32, about what a processor's cache holds."""


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

    The head is computed for supervised positions only, and so many at a time that their scores stay small: each chunk
    goes forward and backward down to the hidden states before the next; then the gradient of all hidden states goes
    through the model at once.
    """

    def __init__(self, label_smoothing: float = 0.0, anchor: Anchor | None = None) -> None:
        self._loss = Loss(label_smoothing, anchor.weight if anchor else 0.0)
        self._anchor = anchor

    def weight(self, batch: Batch) -> int:
        """Supervised targets."""
        return batch.supervised

    def backward(self, model: LanguageModel, batch: Batch, scale: float) -> dict[str, Tensor]:
        """As the Protocol."""
        targets_N = _supervised(batch.targets_BT, batch)
        hidden_ND = _hidden(model, batch)
        anchor_ND = self._anchor_hidden(batch)
        detached_ND = _filled_up(hidden_ND.detach()).requires_grad_()
        total, divergence = torch.zeros((), device=hidden_ND.device), torch.zeros((), device=hidden_ND.device)
        for rows in pieces(len(detached_ND), model.vocabulary, _LOGITS_AT_ONCE):
            logits_NV = model.logits(detached_ND[rows])
            gradient_NV, here_N = logits_NV.detach(), targets_N[rows]
            anchor_NV = self._anchor_logits(anchor_ND, rows, len(here_N))
            loss, kl = self._loss.take(gradient_NV[: len(here_N)], here_N, anchor_NV, scale)
            gradient_NV[len(here_N) :] = 0.0
            gradients.backward(logits_NV, gradient_NV)
            total += loss
            divergence += kl
        assert detached_ND.grad is not None
        gradients.backward(hidden_ND, detached_ND.grad[: len(hidden_ND)])
        return {"loss": total, "kl": divergence} if self._anchor else {"loss": total}

    @torch.no_grad()
    def measure(self, model: LanguageModel, batch: Batch) -> dict[str, Tensor]:
        """As the Protocol: the mere cross-entropy, so that what is measured does not depend on how it is learned."""
        hidden_ND, targets_N = _hidden(model, batch), _supervised(batch.targets_BT, batch)
        total = torch.zeros((), device=hidden_ND.device)
        at_once = ON_GPU_AT_ONCE if hidden_ND.device.type == "cuda" else _MEASURED_AT_ONCE
        for rows in pieces(len(targets_N), model.vocabulary, at_once):
            total += F.cross_entropy(model.logits(hidden_ND[rows]).float(), targets_N[rows], reduction="sum")
        return {"loss": total}

    @torch.no_grad()
    def _anchor_hidden(self, batch: Batch) -> Tensor | None:
        return _filled_up(_hidden(self._anchor.model, batch)) if self._anchor else None

    @torch.no_grad()
    def _anchor_logits(self, anchor_ND: Tensor | None, rows: "slice[int, int, None]", count: int) -> Tensor | None:
        if self._anchor is None or anchor_ND is None:
            return None
        return self._anchor.model.logits(anchor_ND[rows])[:count]


def _hidden(model: LanguageModel, batch: Batch) -> Tensor:
    """Hidden states [N, D] of the supervised positions."""
    return _supervised(model.hidden(batch.tokens_BT, batch.positions_BT, batch.documents_BT), batch)


def _filled_up(hidden_ND: Tensor) -> Tensor:
    """Zeros behind, to a multiple of `_ROWS_ALIKE`."""
    return F.pad(hidden_ND, (0, 0, 0, -len(hidden_ND) % _ROWS_ALIKE))


def _supervised(values_BT: Tensor, batch: Batch) -> Tensor:
    """The values [N, ...] of the supervised positions."""
    return values_BT.flatten(0, 1).index_select(0, batch.supervised_BT.flatten().nonzero().squeeze(1))

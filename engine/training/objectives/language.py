"""The objective of language modelling, and of learning from conversations: cross-entropy."""

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.config.training import TrainingSettings
from engine.data.batches import Batch
from engine.models import functional, gradients
from engine.models.base import LanguageModel
from engine.training.objectives.base import ReferenceModel
from engine.training.objectives.cross_entropy import ON_GPU_AT_ONCE, Loss, pieces

_LOGITS_AT_ONCE = 1 << 26
"""Rows times vocabulary of one chunk of the head: 128 MB in bf16. With each chunk, all of the head gets a gradient."""
_LOGITS_OF_FROZEN_AT_ONCE = 1 << 23
"""The same where the head does not learn, as beside an adapter: more chunks cost nothing then."""
_ROWS_ALIKE = 256
"""What is supervised is filled up to a multiple of it. Scores of ever new sizes would leave the heap in pieces that
none of the next fits into: a run over conversations took some 20 MB more with every step."""
_MEASURED_AT_ONCE = 1 << 22
"""The same without gradients: 16 MB in float32, about what a processor's cache holds."""


def make(settings: TrainingSettings, reference: ReferenceModel | None) -> "MaskedCrossEntropy":
    """The objective as ``[training]`` wants it."""
    return MaskedCrossEntropy(settings.label_smoothing, reference)


class MaskedCrossEntropy:
    """Cross-entropy of the supervised targets. Implements `engine.training.objectives.base.Objective`.

    All of a plain text is supervised, and the assistant's turns of a conversation.

    The head is computed for supervised positions only, and so many at a time that their scores stay small: each chunk
    goes forward and backward down to the hidden states before the next; then the gradient of all hidden states goes
    through the model at once.
    """

    def __init__(self, label_smoothing: float = 0.0, reference: ReferenceModel | None = None) -> None:
        self._loss = Loss(label_smoothing, reference.weight if reference else 0.0)
        self._reference = reference

    def weight(self, batch: Batch) -> int:
        """Supervised targets."""
        return batch.supervised

    def backward(self, model: LanguageModel, batch: Batch, scale: float) -> dict[str, Tensor]:
        """Add the gradient of ``scale`` times the summed loss; the sums are ``loss``, and ``kl`` with a reference."""
        targets_N = _supervised(batch.targets_BT, batch)
        hidden_ND = _hidden(model, batch)
        reference_ND = self._reference_hidden(batch)
        detached_ND = _filled_up(hidden_ND.detach()).requires_grad_()
        total, divergence = torch.zeros((), device=hidden_ND.device), torch.zeros((), device=hidden_ND.device)
        is_frozen = not next(model.parameters()).requires_grad  # of what is not in a block nothing learns, or all
        at_once = _LOGITS_OF_FROZEN_AT_ONCE if is_frozen else _LOGITS_AT_ONCE
        for rows in pieces(len(detached_ND), model.vocabulary, at_once):
            logits_NV = model.logits(detached_ND[rows])
            gradient_NV, here_N = logits_NV.detach(), targets_N[rows]
            reference_NV = self._reference_logits(reference_ND, rows, len(here_N))
            loss, kl = self._loss.take(gradient_NV[: len(here_N)], here_N, reference_NV, scale)
            gradient_NV[len(here_N) :] = 0.0
            gradients.backward(logits_NV, gradient_NV)
            total += loss
            divergence += kl
            del logits_NV, gradient_NV, reference_NV  # before the next are made
        assert detached_ND.grad is not None
        gradients.backward(hidden_ND, detached_ND.grad[: len(hidden_ND)])
        return {"loss": total, "kl": divergence} if self._reference else {"loss": total}

    @torch.no_grad()
    def measure(self, model: LanguageModel, batch: Batch) -> dict[str, Tensor]:
        """The summed cross-entropy without smoothing or reference: it measures alike however the model is trained."""
        hidden_ND, targets_N = _hidden(model, batch), _supervised(batch.targets_BT, batch)
        total = torch.zeros((), device=hidden_ND.device)
        at_once = ON_GPU_AT_ONCE if hidden_ND.device.type == "cuda" else _MEASURED_AT_ONCE
        for rows in pieces(len(targets_N), model.vocabulary, at_once):
            total += functional.losses(model.logits(hidden_ND[rows]), targets_N[rows]).sum()
        return {"loss": total}

    @torch.no_grad()
    def _reference_hidden(self, batch: Batch) -> Tensor | None:
        return _filled_up(_hidden(self._reference.model, batch)) if self._reference else None

    @torch.no_grad()
    def _reference_logits(
        self, reference_ND: Tensor | None, rows: "slice[int, int, None]", count: int
    ) -> Tensor | None:
        if self._reference is None or reference_ND is None:
            return None
        return self._reference.model.logits(reference_ND[rows])[:count]


def _hidden(model: LanguageModel, batch: Batch) -> Tensor:
    """Hidden states [N, D] of the supervised positions."""
    return _supervised(model.hidden(batch.tokens_BT, batch.positions_BT, batch.documents_BT), batch)


def _filled_up(hidden_ND: Tensor) -> Tensor:
    """Zeros behind, to a multiple of `_ROWS_ALIKE`."""
    return F.pad(hidden_ND, (0, 0, 0, -len(hidden_ND) % _ROWS_ALIKE))


def _supervised(values_BT: Tensor, batch: Batch) -> Tensor:
    """The values [N, ...] of the supervised positions."""
    return values_BT.flatten(0, 1).index_select(0, batch.supervised_BT.flatten().nonzero().squeeze(1))

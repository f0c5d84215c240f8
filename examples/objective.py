"""A toy objective in one file: the Brier score of every supervised token, instead of its cross-entropy.

Its one line in `engine.objectives.OBJECTIVES`, after which ``training.objective = "brier"`` trains with it:

    "brier": ObjectiveEntry("examples.objective", frozenset({"dialogue", "text"})),
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.config.training import TrainingSettings
from engine.data.batches import Batch
from engine.models.base import LanguageModel
from engine.training.objectives.base import ReferenceModel


def make(settings: TrainingSettings, reference: ReferenceModel | None) -> "BrierScore":
    """What the table names. This objective needs neither settings nor a reference."""
    del settings, reference
    return BrierScore()


class BrierScore:
    """The squared distance between predicted probabilities and the token that came (Brier, 1950)."""

    def weight(self, batch: Batch) -> int:
        """Supervised tokens."""
        return batch.supervised

    def backward(self, model: LanguageModel, batch: Batch, scale: float) -> dict[str, Tensor]:
        """The sum under ``loss``; its gradient is added to the model's."""
        loss = _summed(model, batch)
        torch.autograd.backward(scale * loss)
        return {"loss": loss.detach()}

    @torch.no_grad()
    def measure(self, model: LanguageModel, batch: Batch) -> dict[str, Tensor]:
        """The sum under ``loss``."""
        return {"loss": _summed(model, batch)}


def _summed(model: LanguageModel, batch: Batch) -> Tensor:
    hidden_BTD = model.hidden(batch.tokens_BT, batch.positions_BT, batch.documents_BT)
    probabilities_NV = model.logits(hidden_BTD[batch.supervised_BT]).float().softmax(-1)
    wanted_NV = F.one_hot(batch.targets_BT[batch.supervised_BT], model.vocabulary)
    return (probabilities_NV - wanted_NV).square().sum()

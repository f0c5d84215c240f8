"""The nats of tokens, given the hidden states that predict them."""

import torch
from torch import Tensor

from engine.models import functional
from engine.models.base import LanguageModel

_SCORES_AT_ONCE = 1 << 23
"""Entries of the largest logits tensor, 32 MiB in fp32."""


def nats(model: LanguageModel, hidden_ND: Tensor, targets_N: Tensor) -> Tensor:
    """Those of N targets, in float64 on the CPU; the targets may be on another device than the hidden states."""
    rows = max(1, _SCORES_AT_ONCE // model.vocabulary)
    parts = zip(torch.split(hidden_ND, rows), torch.split(targets_N.to(hidden_ND.device), rows), strict=True)
    return (
        torch.cat([functional.losses(model.logits(hidden_nD), targets_n) for hidden_nD, targets_n in parts])
        .double()
        .cpu()
    )

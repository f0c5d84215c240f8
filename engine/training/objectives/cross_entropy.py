"""Cross-entropy and its gradient in one go over the scores. Shapes: N targets, V vocabulary."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.native import library

_AT_ONCE, ON_GPU_AT_ONCE = 1 << 21, 1 << 25
"""Scores in float32 at a time: 8 MB, so that what is done to them is done in a processor's cache; on a GPU 128 MB, for
there a launch costs as much as some megabytes."""


@dataclass(frozen=True)
class Loss:
    """Cross-entropy against smoothed targets, plus ``kl_weight`` times KL(reference, model)."""

    smoothing: float = 0.0
    kl_weight: float = 0.0

    @torch.no_grad()
    def take(
        self, logits_NV: Tensor, targets_N: Tensor, reference_NV: Tensor | None, scale: float
    ) -> tuple[Tensor, Tensor]:
        """The loss and the divergence in it, summed; ``logits_NV`` becomes the gradient of ``scale`` times the loss.

        With p the model's shares, r the reference's, t the one-hot target and s the smoothing, that gradient is
        (p - (1 - s) t - s / V) + kl_weight (p - r).
        """
        if reference_NV is None and (kernel := library.kernel_for(logits_NV)) is not None:
            losses_N = kernel.cross_entropy(logits_NV, targets_N.contiguous(), self.smoothing, scale)
            return losses_N.sum(), losses_N.new_zeros(())
        smoothing, weight = self.smoothing, self.kl_weight if reference_NV is not None else 0.0
        total, divergence = torch.zeros((), device=logits_NV.device), torch.zeros((), device=logits_NV.device)
        at_once = ON_GPU_AT_ONCE if logits_NV.device.type == "cuda" else _AT_ONCE
        for rows in pieces(len(logits_NV), logits_NV.shape[1], at_once):
            log_NV = logits_NV[rows].log_softmax(-1, dtype=torch.float32)
            at_N1 = targets_N[rows, None]
            total -= (1 - smoothing) * log_NV.gather(1, at_N1).sum()
            if smoothing:
                total -= smoothing * log_NV.mean(-1).sum()
            shares_NV = None
            if reference_NV is not None:
                expected_NV = reference_NV[rows].log_softmax(-1, dtype=torch.float32)
                shares_NV = expected_NV.exp()
                divergence += (shares_NV * (expected_NV - log_NV)).sum()
            gradient_NV = log_NV.exp_().mul_((1 + weight) * scale)
            of_target_N1 = gradient_NV.new_full(at_N1.shape, -(1 - smoothing) * scale)
            gradient_NV.scatter_add_(1, at_N1, of_target_N1)
            if smoothing:
                gradient_NV.sub_(smoothing * scale / logits_NV.shape[1])
            if shares_NV is not None:
                gradient_NV.sub_(shares_NV, alpha=weight * scale)
            logits_NV[rows] = gradient_NV
        return total + weight * divergence, divergence


def pieces(count: int, width: int, at_once: int) -> Iterator["slice[int, int, None]"]:
    """Slices of ``count`` rows of ``width``, none of more than ``at_once`` values, but of one row at least.

    They are about equally large: products of few rows are slow.
    """
    most = max(1, at_once // width)
    rows = math.ceil(count / math.ceil(count / most)) if count else 1
    for start in range(0, count, rows):
        yield slice(start, start + rows)

"""How much of its rank an adapter uses.

Shapes: K inputs, N outputs, R the rank.
"""

import torch
from torch import Tensor

from engine.adapters.adapter import A, Adapter, B


def used(adapter: Adapter) -> float:
    """The share of its rank that an adapter uses, the mean over its maps: from 0, where it changes nothing, to 1.

    Of a map that is the effective rank of its change B A over R: e to the entropy of its singular values as shares of
    their sum (Roy and Vetterli, The effective rank, EUSIPCO 2007). It is 1 where the change goes equally far in all of
    R directions, so that none is left for something new.
    """
    shares = [
        _effective_rank(_singular_values(adapter.factors[name + A], adapter.factors[name + B]))
        / len(adapter.factors[name + A])
        for name in adapter.maps
    ]
    return sum(shares) / len(shares)


def _singular_values(a_RK: Tensor, b_NR: Tensor) -> Tensor:
    """Those of B A, at most R, from the small product of what is left of its factors after their QR decompositions."""
    of_b = torch.linalg.qr(b_NR.double(), mode="r").R
    of_a = torch.linalg.qr(a_RK.double().t(), mode="r").R
    singular: Tensor = torch.linalg.svdvals(of_b @ of_a.t())
    return singular


def _effective_rank(singular: Tensor) -> float:
    total = singular.sum()
    if not total:
        return 0.0
    shares = singular[singular > 0] / total
    return float((-(shares * shares.log()).sum()).exp())

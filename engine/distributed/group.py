"""What ranks say to each other, the same for every way of spreading a model.

A boundary module: torch.distributed has few types. Numbers that decide travel over gloo from the processors' memory,
whatever device computes: they are few, and needed there.
"""

from datetime import timedelta

import torch
import torch.distributed as dist

PATIENCE = timedelta(minutes=10)
"""For a rank that says nothing: longer than writing the largest checkpoint takes, shorter than a hang is noticed by
those who watch the run. A rank that dies is noticed at once, for its connections close."""


class Group:
    """Ranks joined by torch's default process group."""

    def __init__(self) -> None:
        self.rank = dist.get_rank()
        self.size = dist.get_world_size()

    def sum(self, *numbers: float) -> list[float]:
        """Each number's sum over ranks, in double precision."""
        totals = torch.tensor(numbers, dtype=torch.float64)
        dist.all_reduce(totals)
        found: list[float] = totals.tolist()
        return found

    def any(self, flag: bool) -> bool:
        """Whether the flag is set on at least one rank."""
        return self.sum(float(flag))[0] > 0

    def barrier(self) -> None:
        """Wait until every rank is here."""
        self.sum(0.0)

"""The mean loss of a model over rows that it is not trained on."""

import math
from collections.abc import Callable

import torch

from engine.device import Placement
from engine.models import registry
from engine.models.base import LanguageModel
from engine.training.objectives.base import B, Objective, Source
from engine.training.world import World


def mean_loss(
    model: LanguageModel,
    objective: Objective[B],
    rows: Source[B],
    microbatch: int,
    placement: Placement,
    world: World,
    tell: Callable[[int, int], None],
) -> float:
    """Nats per supervised token, over all rows and ranks; not a number where nothing is supervised.

    ``tell`` is called before each microbatch with how many rows are measured, and of how many.
    """
    registry.module(model).eval()
    total, weight = torch.zeros((), device=placement.device), 0.0
    size = microbatch * world.size
    for number, batch in enumerate(rows.in_order(microbatch, world.rank, world.size)):
        tell(min(number * size, len(rows)), len(rows))
        with placement.autocast():
            total += objective.measure(model, batch.to(placement.device))["loss"]
        weight += objective.weight(batch)
    world.measured()
    summed, weight = world.sum(total.item(), weight)
    return summed / weight if weight else math.nan

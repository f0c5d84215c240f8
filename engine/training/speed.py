"""How long a step takes here, measured before a run begins, so that a length in minutes becomes one in steps."""

import time

import torch

from engine.device import Placement
from engine.models.base import LanguageModel
from engine.models.registry import module
from engine.training import microbatch
from engine.training.objectives.base import B, Objective, Source
from engine.training.recipe import Recipe

_STEPS = 3
_OPTIMIZER = 1.15
"""What a step takes beyond its gradients, in shares of them."""


def seconds_per_step(
    model: LanguageModel, objective: Objective[B], rows: Source[B], recipe: Recipe, placement: Placement
) -> float:
    """Seconds of an optimizer step, by the fastest of a few gradients, which are thrown away.

    On a CPU by the time of this process on its processors, so that what else the machine does is not counted.

    Raises:
        OutOfMemoryError: there is not enough memory for a single row.
    """
    net = module(model).to(placement.device)
    net.train()
    on_cpu, size = placement.device.type == "cpu", recipe.batch_size
    taken: list[float] = []
    while len(taken) < _STEPS:
        batch = rows.of_step(len(taken), recipe.seed, size, size)[0].to(placement.device)
        wall, processor = time.perf_counter(), time.process_time()
        try:
            with placement.autocast():
                objective.backward(model, batch, 1.0)["loss"].item()
        except (RuntimeError, MemoryError) as error:
            microbatch.check_smaller_helps(error, size, recipe)
            net.zero_grad()
            microbatch.free_memory(placement.device)
            size = max(1, size // 2)
            continue
        net.zero_grad()
        wall = time.perf_counter() - wall
        alone = (time.process_time() - processor) / torch.get_num_threads()
        taken.append(min(wall, alone) if on_cpu else wall)
    rows_here = recipe.batch_size * recipe.gradient_accumulation / recipe.distributed.world_size
    return _OPTIMIZER * min(taken) * rows_here / size

"""AdamW, its state by parameter name, and learning rate schedules as pure functions."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from engine.config import TrainingSettings


def build(model: nn.Module, settings: TrainingSettings) -> torch.optim.AdamW:
    """Fused AdamW (Loshchilov and Hutter, 1711.05101); weights decay in matrices only, not in norms."""
    matrices = [weight for weight in model.parameters() if weight.ndim >= 2]
    others = [weight for weight in model.parameters() if weight.ndim < 2]
    groups = [
        {"params": matrices, "weight_decay": settings.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    betas = (settings.beta1, settings.beta2)
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=betas, eps=1e-8, fused=True)


def learning_rate(step: int, steps: int, settings: TrainingSettings) -> float:
    """The rate of step ``step`` (from 0) of ``steps``.

    A linear rise over ``warmup_share`` of the steps, then constant, or a line or half a cosine down to ``final_share``
    of the peak, which the last step has.
    """
    warmup = math.ceil(settings.warmup_share * steps)
    if step < warmup:
        return settings.learning_rate * (step + 1) / warmup
    if settings.schedule == "constant":
        return settings.learning_rate
    done = (step - warmup) / max(1, steps - 1 - warmup)
    height = 1.0 - done if settings.schedule == "linear" else (1.0 + math.cos(math.pi * done)) / 2
    return settings.learning_rate * (settings.final_share + (1.0 - settings.final_share) * height)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Use ``rate`` from the next step on."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def state_of(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimizer's tensors as ``PARAMETER/KEY``; empty before the first step."""
    named = model.named_parameters()
    return {f"{name}/{key}": value for name, weight in named for key, value in optimizer.state[weight].items()}


def restore(model: nn.Module, optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """The inverse of `state_of`."""
    by_name: dict[str, dict[str, Tensor]] = {}
    for path, value in tensors.items():
        name, _, key = path.rpartition("/")
        by_name.setdefault(name, {})[key] = value
    names = {weight: name for name, weight in model.named_parameters()}
    ordered = [names[weight] for group in optimizer.param_groups for weight in group["params"]]
    state = {number: by_name[name] for number, name in enumerate(ordered) if name in by_name}
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})

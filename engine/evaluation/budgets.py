"""Budgets of the gate: how slow a candidate may be, and how much memory it may take. A pure function.

| `[gate]`                      | the candidate's                  | may be at most                                    |
| ----------------------------- | -------------------------------- | ------------------------------------------------- |
| ``max_tokens_per_second_loss``| loss of tokens per second        | this share of what the version in service gives   |
| ``max_first_token_seconds``   | seconds to the first token       | this                                              |
| ``max_memory_megabytes``      | peak memory                      | this                                              |

What is not set is not measured. A budget whose figure is missing is exceeded. Where no version serves, there is nothing
that could be lost.
"""

import math
from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict

from engine.config.evaluation import GateSettings

Speed = Mapping[str, float]
"""Figures of a version, by the names of `engine.inference.benchmark.SpeedFigures`."""


class Budget(BaseModel):
    """One budget: what was found, and the most that is allowed. ``found`` is null where it was not measured."""

    model_config = ConfigDict(frozen=True)

    found: float | None
    most: float
    passed: bool


def are_set(settings: GateSettings) -> bool:
    """Whether speed has to be measured at all."""
    return any(
        limit is not None
        for limit in (
            settings.max_tokens_per_second_loss,
            settings.max_first_token_seconds,
            settings.max_memory_megabytes,
        )
    )


def judge(
    candidate: Speed | None, incumbent: Speed | None, settings: GateSettings, *, is_first: bool
) -> dict[str, Budget]:
    """Each budget that is set, by the name of its setting; ``is_first``: no version serves."""
    loss = _loss(candidate, incumbent)
    memory = _figure(candidate, "peak_memory_bytes")
    checked = {
        "max_tokens_per_second_loss": (None if is_first else settings.max_tokens_per_second_loss, loss),
        "max_first_token_seconds": (settings.max_first_token_seconds, _figure(candidate, "first_token_seconds")),
        "max_memory_megabytes": (settings.max_memory_megabytes, None if memory is None else memory / 2**20),
    }
    return {
        name: Budget(found=found, most=most, passed=found is not None and found <= most)
        for name, (most, found) in checked.items()
        if most is not None
    }


def exceeded(budgets: Mapping[str, Budget]) -> str | None:
    """The first budget that is exceeded, in words; null where none is."""
    for name, budget in budgets.items():
        if budget.passed:
            continue
        if budget.found is None:
            return f"gate.{name} allows {budget.most:g}, and what the candidate takes could not be measured"
        return f"gate.{name} allows {budget.most:g}, the candidate takes {budget.found:.4g}"
    return None


def _loss(candidate: Speed | None, incumbent: Speed | None) -> float | None:
    """The share of the incumbent's tokens per second that is lost; below zero where the candidate is faster."""
    ours, theirs = _figure(candidate, "tokens_per_second"), _figure(incumbent, "tokens_per_second")
    return None if ours is None or theirs is None else 1 - ours / theirs


def _figure(speed: Speed | None, name: str) -> float | None:
    found = None if speed is None else speed.get(name)
    return found if found is not None and math.isfinite(found) and found > 0 else None

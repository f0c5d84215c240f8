"""What to do about a step whose loss or gradient is not sane: skip it, go back, or give up. Pure functions.

| the step is           | and there were before it, in a row | then      |
| --------------------- | ---------------------------------- | --------- |
| sane                  | any number of bad ones             | take it   |
| not finite or a spike | fewer than ``max_bad_steps - 1``   | skip it   |
| not finite or a spike | more, and fewer than 3 roll-backs  | roll back |
| not finite or a spike | more, and 3 roll-backs             | give up   |

A roll-back returns to the last good checkpoint and halves the learning rate.
"""

import math
from dataclasses import dataclass, replace
from typing import Literal

Action = Literal["take", "skip", "roll back", "give up"]

MAX_ROLL_BACKS = 3
RATE_AFTER_ROLL_BACK = 0.5
_SETTLED_AFTER = 20
_MEMORY = 0.95
_SPIKE_DEVIATIONS = 8.0
_SPIKE_NATS = 2.0


class DivergedError(Exception):
    """Training cannot go on; the message says what was seen and what to change."""


@dataclass(frozen=True)
class Health:
    """What is remembered of the steps so far: running mean and mean deviation of the loss, and what went wrong."""

    loss: float = 0.0
    deviation: float = 0.0
    taken: int = 0
    bad: int = 0
    roll_backs: int = 0


def judge(health: Health, loss: float, gradient_norm: float, max_bad_steps: int) -> tuple[Action, Health]:
    """What to do with a step of this loss and gradient norm, and the health after it."""
    if math.isfinite(loss) and math.isfinite(gradient_norm) and not _is_spike(health, loss):
        return "take", _after(health, loss)
    if health.bad + 1 < max_bad_steps:
        return "skip", replace(health, bad=health.bad + 1)
    if health.roll_backs < MAX_ROLL_BACKS:
        return "roll back", Health(roll_backs=health.roll_backs + 1)
    return "give up", health


def _is_spike(health: Health, loss: float) -> bool:
    """Far above the running mean, once that means something."""
    if health.taken < _SETTLED_AFTER:
        return False
    return loss > health.loss + max(_SPIKE_NATS, _SPIKE_DEVIATIONS * health.deviation)


def _after(health: Health, loss: float) -> Health:
    if health.taken == 0:
        return replace(health, loss=loss, taken=1, bad=0)
    mean = _MEMORY * health.loss + (1 - _MEMORY) * loss
    deviation = _MEMORY * health.deviation + (1 - _MEMORY) * abs(loss - health.loss)
    return replace(health, loss=mean, deviation=deviation, taken=health.taken + 1, bad=0)

"""The learning rate of every step: a pure function of the step, so that a resumed run needs no state for it.

Every schedule begins with a linear rise over ``warmup_share`` of the steps. Then:

| schedule | after warm-up                                                             |
| -------- | ------------------------------------------------------------------------- |
| constant | stays at the peak                                                         |
| linear   | a line to ``final_share`` of the peak, which the last step has            |
| cosine   | half a cosine to there                                                    |
| wsd      | stays at the peak, then a line to there over the last ``decay_share``     |

wsd: warm-up, stable, decay (Hu et al., MiniCPM, 2404.06395; Hägele et al., 2405.18392). The decay is a branch: what it
comes to is judged and served. The next cycle goes on from the weights before it (`branches_at`), which are published
beside them, so that training never has to climb out of a decayed minimum (2503.02844).
"""

import math

from engine.training.recipe import Recipe


def learning_rate(step: int, steps: int, settings: Recipe) -> float:
    """The rate of step ``step`` (from 0) of ``steps``."""
    warmup = math.ceil(settings.warmup_share * steps)
    if step < warmup:
        return settings.learning_rate * (step + 1) / warmup
    if settings.schedule == "constant":
        return settings.learning_rate
    falls_from = _decay_begins(steps, settings) if settings.schedule == "wsd" else warmup
    fallen = max(0.0, (step - falls_from) / max(1, steps - 1 - falls_from))
    height = (1.0 + math.cos(math.pi * fallen)) / 2 if settings.schedule == "cosine" else 1.0 - fallen
    return settings.learning_rate * (settings.final_share + (1.0 - settings.final_share) * height)


def branches_at(steps: int, settings: Recipe) -> int | None:
    """After how many steps the weights are those to go on from in the next cycle; None where they are the last ones."""
    if settings.schedule != "wsd":
        return None
    return _decay_begins(steps, settings) or None


def _decay_begins(steps: int, settings: Recipe) -> int:
    """The last step of the stable phase of wsd, where the line down begins."""
    warmup = math.ceil(settings.warmup_share * steps)
    return max(warmup, steps - 1 - math.ceil(settings.decay_share * steps))

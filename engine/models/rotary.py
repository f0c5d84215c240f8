"""Rotary positions, and how they are stretched beyond the length a model was trained on.

Each pair of a head's E values turns with its own frequency. ``linear`` slows all of them down by the factor, ``ntk``
slows the slow ones most (a larger base), ``llama3`` slows only those that turn less than once to four times within the
trained length, ``yarn`` those that turn less than once to 32 times, by place among the pairs, and makes attention
sharper. ``longrope`` slows each by a factor of its own, found by search, and makes attention sharper. Sources: Su et
al., RoFormer (2104.09864); Chen et al., position interpolation (2306.15595); Peng et al., YaRN (2309.00071), also for
NTK; the Llama 3 report (2407.21783); Ding et al., LongRoPE (2402.13753).
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from engine.families.thor import RopeScaling
from engine.models import functional

LLAMA3_SLOW, LLAMA3_FAST = 1.0, 4.0
"""Turns within the trained length below which a frequency is slowed down fully, and above which not at all."""
YARN_SLOW, YARN_FAST = 1.0, 32.0
"""The same for yarn."""


Turn = tuple[Tensor, Tensor]
"""Cosines and sines [B, 1, T, E] by which heads are turned, E of them all values of a head or the first few."""


class Frequencies:
    """Radians a position, [E / 2]: float32 whatever a model's weights are, so no buffer, which would follow them."""

    def __init__(self, radians_E: Tensor) -> None:
        self._radians_E = radians_E

    def on(self, device: torch.device) -> Tensor:
        """Where they are needed; they stay there, so that no step waits for a copy."""
        if self._radians_E.device != device:
            self._radians_E = self._radians_E.to(device)
        return self._radians_E


def frequencies(
    width: int,
    theta: float,
    scaling: RopeScaling = "none",
    factor: float = 1.0,
    trained: int = 0,
    divisors: Sequence[float] = (),
) -> Frequencies:
    """For heads of ``width`` E; ``divisors`` are those of longrope, E / 2."""
    return Frequencies(_radians(width, theta, scaling, factor, trained, divisors))


def _radians(
    width: int, theta: float, scaling: RopeScaling, factor: float, trained: int, divisors: Sequence[float]
) -> Tensor:
    even = torch.arange(0, width, 2, dtype=torch.int64, device="cpu").float()
    base = stretched_theta(width, theta, factor) if scaling == "ntk" else theta
    plain = 1.0 / base ** (even / width)
    if scaling == "linear":
        return plain / factor
    if scaling == "longrope":
        return 1.0 / (torch.tensor(divisors, device="cpu") * base ** (even / width))
    if scaling == "llama3":
        turns = trained * plain / (2 * math.pi)
        share = ((turns - LLAMA3_SLOW) / (LLAMA3_FAST - LLAMA3_SLOW)).clamp(0.0, 1.0)
    elif scaling == "yarn":
        fast, slow = (_pair_that_turns(turns, width, theta, trained) for turns in (YARN_FAST, YARN_SLOW))
        first, last = max(0, math.floor(fast)), min(width - 1, math.ceil(slow))
        share = 1 - ((torch.arange(width // 2, device="cpu") - first) / max(last - first, 1e-3)).clamp(0.0, 1.0)
    else:
        return plain
    return (1 - share) * plain / factor + share * plain


def _pair_that_turns(turns: float, width: int, theta: float, trained: int) -> float:
    """Where among the pairs the one would be that turns so often within the trained length."""
    return width * math.log(trained / (turns * 2 * math.pi)) / (2 * math.log(theta))


def magnitude(scaling: RopeScaling, factor: float, trained: int = 0) -> float:
    """By how much queries and keys are longer than without scaling."""
    if factor <= 1.0:
        return 1.0
    if scaling == "longrope":
        return math.sqrt(1.0 + math.log(factor) / math.log(trained))
    return 0.1 * math.log(factor) + 1.0 if scaling == "yarn" else 1.0


def stretched_theta(width: int, theta: float, factor: float) -> float:
    """The base by which the slowest frequency is slowed down by ``factor`` and the fastest not at all."""
    return float(theta * factor ** (width / (width - 2)))


def rotation(positions_BT: Tensor, frequencies: Frequencies, length: float = 1.0) -> Turn:
    """Cosines and sines [B, 1, T, E] that turn a head by its position, in the half-split layout of Llama.

    They make it ``length`` times as long, too.
    """
    angles = positions_BT[:, None, :, None].float() * frequencies.on(positions_BT.device)
    angles = torch.cat((angles, angles), dim=-1)
    if length == 1.0:
        return angles.cos(), angles.sin()
    return length * angles.cos(), length * angles.sin()


def rotate(x_BHTE: Tensor, turn: Turn) -> Tensor:
    """Queries or keys, turned; values of a head beyond those that turn stay as they are."""
    turning = turn[0].shape[-1]
    if turning < x_BHTE.shape[-1]:
        return torch.cat((rotate(x_BHTE[..., :turning], turn), x_BHTE[..., turning:]), dim=-1)
    if x_BHTE.device.type == "cpu" and not torch.compiler.is_compiling():
        return functional.rotate(x_BHTE, *turn)
    cos, sin = (part.to(x_BHTE.dtype) for part in turn)
    first, second = x_BHTE.chunk(2, dim=-1)
    return x_BHTE * cos + torch.cat((-second, first), dim=-1) * sin

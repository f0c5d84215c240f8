"""The tensor by which GGUF files say how Llama 3 stretches positions: what each frequency is divided by."""

import math

import numpy as np
from numpy.typing import NDArray

from engine.foreign_model import ForeignModelError
from engine.gguf import names
from engine.gguf.container import GgufFile
from engine.models.rotary import LLAMA3_FAST, LLAMA3_SLOW

_TOLERANCE = 1e-4


def explained(file: GgufFile, width: int, theta: float) -> tuple[float, int]:
    """The factor and the length trained on that give the tensor in ``file``.

    Raises:
        ForeignModelError: none do.
    """
    record = file.tensors[names.ROPE_FACTORS]
    if record.shape != (width // 2,):
        raise ForeignModelError(f"{file.path}: {names.ROPE_FACTORS} is {list(record.shape)}, not [{width // 2}]")
    found_E = file.read(names.ROPE_FACTORS).astype(np.float64)
    factor = round(float(found_E.max()), 4)
    between = np.flatnonzero((found_E > 1 + _TOLERANCE) & (found_E < factor - _TOLERANCE))
    if factor > 1 and len(between):
        pair = int(between[0])
        share = (1 / found_E[pair] - 1 / factor) / (1 - 1 / factor)
        turns = LLAMA3_SLOW + share * (LLAMA3_FAST - LLAMA3_SLOW)
        trained = round(turns * 2 * math.pi * theta ** (2 * pair / width))
        if np.allclose(found_E, factors(width, theta, factor, trained), rtol=_TOLERANCE):
            return factor, trained
    raise ForeignModelError(
        f"{file.path}: {names.ROPE_FACTORS} differs from that of Llama 3, the only kind that thord supports"
    )


def factors(width: int, theta: float, factor: float, trained: int) -> NDArray[np.float64]:
    """What each frequency is divided by, [E / 2], as `engine.models.rotary` slows them down."""
    turns_E = trained * theta ** (-np.arange(0, width, 2) / width) / (2 * math.pi)
    share_E = np.clip((turns_E - LLAMA3_SLOW) / (LLAMA3_FAST - LLAMA3_SLOW), 0.0, 1.0)
    return 1 / ((1 - share_E) / factor + share_E)

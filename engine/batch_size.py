"""How many rows a step should have at least on a device: a GPU is idle most of the time with fewer.

The names and the first table are those of Model Trainer's ``platform_ml``.
"""

from typing import Literal

from engine.families.table import FAMILIES

DeviceName = Literal["cpu", "cuda"]

_LEAST: dict[DeviceName, int] = {"cpu": 1, "cuda": 8}
_LEAST_OF_LSTM: dict[DeviceName, int] = {"cpu": 1, "cuda": 32}
"""An LSTM computes one position of a row after another, so only rows keep a GPU busy."""


def recommended_batch_size(batch: int, device: DeviceName) -> int:
    """The rows that were asked for, or more where a device needs them: 4 are 8 on a GPU, and 4 on a CPU.

    Raises:
        ValueError: ``batch`` is less than 1.
    """
    return _at_least(batch, _LEAST[device])


def recommended_batch_size_for(family: str, batch: int, device: DeviceName) -> int:
    """As `recommended_batch_size`, for a model of a family.

    Raises:
        ValueError: there is no such family, or ``batch`` is less than 1.
    """
    if family not in FAMILIES:
        raise ValueError(f"unknown family {family!r}; known: {', '.join(sorted(FAMILIES))}")
    return _at_least(batch, (_LEAST_OF_LSTM if FAMILIES[family].has_lstm else _LEAST)[device])


def _at_least(batch: int, least: int) -> int:
    if batch < 1:
        raise ValueError(f"a batch of {batch} rows: it needs at least one")
    return max(batch, least)

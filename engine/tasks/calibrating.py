"""Temperatures of tasks, fitted on held-out rows and kept beside the version: ``calibration.json``.

One number a task, by the likelihood of the right labels (temperature scaling: Guo et al., On Calibration of Modern
Neural Networks, 2017). It changes no order of labels.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, RootModel, ValidationError

from engine import disk
from engine.tasks.answering import Calibration, probabilities_of

FILE = "calibration.json"
FEWEST = 30
"""Rows; fewer say too little, and the temperature stays 1."""
_LOWEST, _HIGHEST = 0.05, 20.0
_ROUNDS = 60
_GOLDEN = (math.sqrt(5) - 1) / 2


class FittedTemperature(BaseModel):
    """What was fitted for one task, on how many rows."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)

    temperature: float
    rows: int


_File = RootModel[dict[str, FittedTemperature]]


def fitted(logprobs: Sequence[Sequence[float]], right: Sequence[int], prior: tuple[float, ...] = ()) -> float:
    """The temperature with which the right choices are likeliest, by golden-section search over its logarithm.

    ``prior`` is that of the `Calibration` that will use it.
    """
    if len(right) < FEWEST:
        return 1.0

    def nats(log_temperature: float) -> float:
        calibration = Calibration(math.exp(log_temperature), prior)
        found = (probabilities_of(row, calibration)[place] for row, place in zip(logprobs, right, strict=True))
        return -math.fsum(math.log(max(probability, 1e-300)) for probability in found)

    low, high = math.log(_LOWEST), math.log(_HIGHEST)
    for _ in range(_ROUNDS):
        left, right_end = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        if nats(left) < nats(right_end):
            high = right_end
        else:
            low = left
    return math.exp((low + high) / 2)


def write(folder: Path, temperatures: Mapping[str, FittedTemperature]) -> None:
    """Keep what was fitted with a version.

    Raises:
        OSError: the disk refused.
    """
    disk.write_json(folder / FILE, _File(dict(temperatures)).model_dump(mode="json"))


def read(folder: Path) -> dict[str, Calibration]:
    """What was fitted for a version; nothing where nobody did, or the file cannot be read."""
    try:
        found = _File.model_validate_json((folder / FILE).read_bytes()).root
    except (OSError, ValidationError):
        return {}
    return {name: Calibration(each.temperature) for name, each in found.items() if each.temperature > 0}

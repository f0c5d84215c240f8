"""The precision in which a version answers: a table.

| `inference.precision` | device | computed by | answers in                                  |
| --------------------- | ------ | ----------- | ------------------------------------------- |
| auto                  | a CPU  | the kernel  | bf16                                        |
| auto                  | a CPU  | torch       | what it multiplies fast: bf16, else float32 |
| auto                  | a GPU  | torch       | bf16, or fp16 where it has no bf16          |
| any other             | any    | any         | that                                        |

Decoding reads every weight for each token, so memory is its limit, and half as many bytes are read twice as fast. The
kernel computes bf16 weights on any processor; torch needs instructions for them. What layers add up is float32 in
both (`engine.inference.runners.forward`).
"""

from pathlib import Path

import torch

from engine import device, version
from engine.config.inference import InferenceSettings
from engine.config.model import ModelSettings
from engine.device import Placement
from engine.inference.native import decoder


def of_model(model: ModelSettings, settings: InferenceSettings) -> Placement:
    """The device and the precision in which such a model answers.

    Raises:
        ImpossiblePlacementError: the settings ask for what this machine does not have.
    """
    found = device.resolve(settings.device, settings.precision)
    if settings.precision == "auto" and found.device.type == "cpu" and decoder.serves(model):
        return Placement(found.device, torch.bfloat16)
    return found


def of_version(folder: Path, settings: InferenceSettings) -> Placement:
    """The same of a published version. Only its configuration is read.

    Raises:
        ArtifactError: that cannot be read.
        ImpossiblePlacementError: the settings ask for what this machine does not have.
    """
    return of_model(version.read_config(folder).model, settings)

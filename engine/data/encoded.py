"""Token ids with a flag for each: what tokenizers make of a sample, and what shards hold."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Encoded:
    """Token ids of one document; ``supervised[i]`` says whether predicting ``ids[i]`` is learned. Equal lengths."""

    ids: NDArray[np.int32]
    supervised: NDArray[np.bool_]

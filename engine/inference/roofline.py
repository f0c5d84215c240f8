"""The roofline of decoding: every token reads all weights, so one answer is at most as fast as memory gives them.

``python -m engine.inference.roofline FOLDER INFERENCE``: a version, and the table ``[inference]`` as JSON. Prints JSON.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import torch

from engine import version
from engine.artifacts import ArtifactError
from engine.config.inference import InferenceSettings
from engine.device import ImpossiblePlacementError, Placement
from engine.inference.runners import decoders
from engine.inference.versions import precision

_READ = 256 << 20
_READS_A_TRY = {"cpu": 1, "cuda": 16}
"""A GPU reads so much in less time than it takes to ask for it and to wait for the answer."""


def bandwidth(on: torch.device) -> float:
    """Bytes a second that all threads read from memory, or a GPU from its own: the best of a few tries."""
    memory = torch.ones(_READ // 8, dtype=torch.int64, device=on)
    best, reads = float("inf"), _READS_A_TRY[on.type]
    for _ in range(6):
        began = time.perf_counter()
        for _ in range(reads - 1):
            memory.sum()
        memory.sum().item()
        best = min(best, time.perf_counter() - began)
    return reads * memory.nbytes / best


def weight_bytes(folder: Path, placement: Placement, settings: InferenceSettings) -> int:
    """What a decoder of the version reads for each token. Only its configuration is read.

    Raises:
        ArtifactError: that cannot be read.
    """
    config = version.read_config(folder)
    decoder = decoders.skeleton(config.model, config.vocabulary, placement, settings.quantization)
    return sum(weight.nbytes for weight in decoder.parameters())


def main() -> int:
    """0, or 1 and the reason on standard error."""
    parser = argparse.ArgumentParser(description="Measure how fast an answer could be.")
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("inference", type=InferenceSettings.model_validate_json, metavar="INFERENCE")
    options = parser.parse_args()
    try:
        placement = precision.of_version(options.folder, options.inference)
        weights = weight_bytes(options.folder, placement, options.inference)
    except (ArtifactError, ImpossiblePlacementError) as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps({"weight_bytes": weights, "bytes_per_second": bandwidth(placement.device)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())

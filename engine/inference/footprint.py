"""How much memory versions take, and how much there is."""

import gc
from pathlib import Path

import psutil
import torch
from torch import Tensor

from engine import memory, version
from engine.config import ModelSettings, Quantization
from engine.device import Placement
from engine.inference import decoders
from engine.inference.batching import PADDING_ROWS
from engine.models.base import Cache, Decoder


def needed(folder: Path, placement: Placement, rows: int, quantization: Quantization) -> int:
    """Bytes that a version will take: weights, and a cache for ``rows`` sequences. Only its configuration is read.

    Raises:
        ArtifactError: that cannot be read.
    """
    config = version.read_config(folder)
    return of_model(config.model, config.vocabulary, placement, rows, quantization)


def of_model(
    settings: ModelSettings, vocabulary: int, placement: Placement, rows: int, quantization: Quantization
) -> int:
    """The same of a model that may be nowhere yet; nothing is allocated."""
    decoder = decoders.skeleton(settings, vocabulary, placement, quantization)
    return taken(decoder, decoder.make_cache(rows + PADDING_ROWS, decoder.context))


def taken(model: Decoder, cache: Cache) -> int:
    """Bytes of weights and cache."""
    return sum(weight.nbytes for weight in model.parameters()) + _bytes_in(cache)


def free(device: torch.device, limit: int, held: int) -> int:
    """Bytes that nobody has: of the machine's memory and, where ``limit`` is not 0, of what thord may take."""
    of_limit = limit - held if limit else None
    if device.type == "cuda":
        unused, _ = torch.cuda.mem_get_info(device)
        of_machine = unused + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    else:
        of_machine = int(psutil.virtual_memory().available)
    return of_machine if of_limit is None else min(of_machine, of_limit)


def give_back(device: torch.device) -> None:
    """Return to the machine what versions held that are gone."""
    gc.collect()
    memory.return_freed_memory()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def _bytes_in(part: object) -> int:
    """Bytes of the tensors that a cache is made of, whatever its family keeps."""
    if isinstance(part, Tensor):
        return part.nbytes
    if isinstance(part, list | tuple):
        return sum(_bytes_in(each) for each in part)
    return sum(_bytes_in(each) for each in vars(part).values()) if hasattr(part, "__dict__") else 0

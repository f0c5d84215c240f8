"""How much memory versions take, and how much there is."""

import gc
from pathlib import Path

import torch

from engine import cgroup, memory, version
from engine.adapters import adapter as adapters
from engine.config.inference import Form, Quantization
from engine.config.model import ModelSettings
from engine.device import Placement
from engine.inference.runners import decoders
from engine.models.base import Cache, Decoder

ORDINARY_POSITIONS = 512
"""Of a row in ordinary use: what memory is planned for. A row may grow to the whole context where there is more."""
_LEFT_TO_OTHERS = 128 << 20


def needed(folder: Path, placement: Placement, rows: int, quantization: Quantization, chosen: Form = "merged") -> int:
    """Bytes that a version takes in ordinary use, as `of_model`; unmerged, with its base.

    Only its configuration is read, and the head of an adapter's file that is not merged.

    Raises:
        ArtifactError: that cannot be read.
    """
    config = version.read_config(folder)
    decoder = decoders.skeleton(config.model, config.vocabulary, placement, quantization)
    if chosen == "unmerged":
        return _of_decoder(decoder, rows) + decoders.bytes_of_adapter(decoder, adapters.outline(folder))
    return _of_decoder(decoder, rows)


def of_model(
    settings: ModelSettings, vocabulary: int, placement: Placement, rows: int, quantization: Quantization
) -> int:
    """The same of a model that may be nowhere yet; nothing is allocated.

    In ordinary use: ``rows`` sequences of `ORDINARY_POSITIONS`, or one as long as the context, whichever is more.
    """
    return _of_decoder(decoders.skeleton(settings, vocabulary, placement, quantization), rows)


def _of_decoder(decoder: Decoder, rows: int) -> int:
    cache = decoder.make_cache(rows, decoder.context)
    return of_weights(decoder) + cache.held_bytes + _ordinary(cache)


def growth(cache: Cache) -> int:
    """Bytes that a cache does not have now and takes in ordinary use."""
    return max(_ordinary(cache) - cache.held_bytes, 0)


def _ordinary(cache: Cache) -> int:
    """Bytes that the rows of a cache take in ordinary use."""
    return max(cache.rows * cache.bytes_for(min(ORDINARY_POSITIONS, cache.length)), cache.bytes_for(cache.length))


def of_weights(model: Decoder) -> int:
    """Bytes of weights, in whatever form a decoder holds them."""
    return sum(weight.nbytes for weight in model.parameters())


def free(device: torch.device, limit: int, held: int) -> int:
    """Bytes that nobody has: of the machine's memory and, where ``limit`` is not 0, of what thord may take."""
    of_limit = limit - held if limit else None
    if device.type == "cuda":
        unused, _ = torch.cuda.mem_get_info(device)
        of_machine = unused + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    else:
        of_machine = cgroup.memory().available
    return of_machine if of_limit is None else min(of_machine, of_limit)


def free_for_caches(device: torch.device, limit: int, held: int) -> int:
    """Bytes that caches may grow into: some of the machine's memory is left to others."""
    return min(free(device, limit, held), free(device, 0, held) - _LEFT_TO_OTHERS)


def give_back(device: torch.device) -> None:
    """Return to the machine what versions held that are gone."""
    gc.collect()
    memory.return_freed_memory()
    if device.type == "cuda":
        torch.cuda.empty_cache()

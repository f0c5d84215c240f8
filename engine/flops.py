"""Operations: how many training takes, and how many a second this machine does in the model's own matrix products.

A step is held against products of the shapes that the model has, not against what a datasheet promises: small matrices
never reach that, however well the rest is written.
"""

import functools
import time
from collections import Counter
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.config.model import ModelSettings
from engine.config.shapes import AgiformerShape, CharLstmShape
from engine.device import Placement
from engine.models import registry
from engine.models.agiformer import PATCH

_MOST_ROWS = 2048
_SECONDS_A_SHAPE = 0.01
_FEWEST_TRIES = 4
_PRODUCTS_A_TRY = 32
"""On a GPU: to launch one and to wait for it can take longer than a small product does."""
_HEADS = frozenset("lm_head.weight model.embed_tokens.weight transformer.wte.weight head head.weight embedding".split())
_LOOKED_UP = frozenset({"transformer.wpe.weight", "start", "places", "reader.embedding"})
_LOOKED_UP_UNTIED = {"lm_head.weight": "model.embed_tokens.weight", "head": "embedding"}


def per_token(settings: ModelSettings, vocabulary: int, length: int, supervised: float = 1.0) -> float:
    """Operations to train on one token of rows of ``length``, forward and backward; the head sees those supervised.

    Six for each weight of a matrix that a token is multiplied with, and those of attention, causal or not (Chowdhery et
    al., PaLM, 2204.02311, appendix B). In an agiformer layers and thinking work on patches, one in four bytes, and the
    weights of thinking serve in every round.
    """
    shape = settings.shape
    sizes = {
        name: weight.numel() * (supervised if name in _HEADS else 1.0)
        for name, weight in _matrices(settings, vocabulary).items()
    }
    if isinstance(shape, CharLstmShape):
        return 6.0 * sum(sizes.values())
    if not isinstance(shape, AgiformerShape):
        span = min(length, getattr(shape, "window", 0) or length)
        width = getattr(shape, "width", shape.hidden // shape.heads) * shape.heads
        return 6.0 * sum(sizes.values()) + 12.0 * shape.layers * width * span
    thinking = sum(size for name, size in sizes.items() if name.startswith("thinking."))
    layers = sum(size for name, size in sizes.items() if name.startswith("layers."))
    rounds = shape.layers + shape.thinking_steps
    attention = 12.0 * rounds * shape.hidden * min(length / PATCH, shape.window)
    once = sum(sizes.values()) - thinking - layers
    return 6.0 * (once + (layers + shape.thinking_steps * thinking) / PATCH) + attention / PATCH


@functools.cache
def peak(settings: ModelSettings, vocabulary: int, rows: int, placement: Placement) -> float:
    """Operations a second in products of ``rows`` positions with the model's matrices, each as often as it occurs.

    The best of a few tries, some milliseconds for each shape; measured once in a process. On a processor it is one
    thread's own time, for all threads: what else the machine does must not look like a slow machine.
    """
    rows = min(rows, _MOST_ROWS)
    shapes = Counter(weight.shape for weight in _matrices(settings, vocabulary).values())
    operations = sum(count * 2.0 * rows * shape.numel() for shape, count in shapes.items())
    return operations / sum(count * _seconds(shape, rows, placement) for shape, count in shapes.items())


def _matrices(settings: ModelSettings, vocabulary: int) -> Mapping[str, Tensor]:
    """The weights that are multiplied with, without storage; tied ones once, embeddings only looked up not at all."""
    module = registry.module(registry.skeleton(settings, vocabulary))
    found = {name: weight for name, weight in module.named_parameters() if weight.ndim == 2}
    idle = _LOOKED_UP | {embedding for head, embedding in _LOOKED_UP_UNTIED.items() if head in found}
    return {name: weight for name, weight in found.items() if name not in idle}


def _seconds(shape: torch.Size, rows: int, placement: Placement) -> float:
    x = torch.ones(rows, shape[1], dtype=placement.dtype, device=placement.device)
    weight = torch.ones(shape, dtype=placement.dtype, device=placement.device)
    on_gpu, threads = placement.device.type == "cuda", torch.get_num_threads()
    now = time.perf_counter if on_gpu else time.thread_time
    count = _PRODUCTS_A_TRY if on_gpu else 1
    times: list[float] = []
    torch.set_num_threads(1)
    try:
        while len(times) < _FEWEST_TRIES or sum(times) < _SECONDS_A_SHAPE:
            began = now()
            for _ in range(count):
                F.linear(x, weight)
            if on_gpu:
                torch.cuda.synchronize()
            times.append(now() - began)
    finally:
        torch.set_num_threads(threads)
    return min(times) / (count if on_gpu else threads)

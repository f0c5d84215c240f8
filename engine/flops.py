"""Floating-point operations: how many training takes, and how many a second this machine does in the model's matrices.

A step is held against products of the shapes that the model has, not against what a datasheet promises: small matrices
never reach that, however well the rest is written.
"""

import functools
import time
from collections import Counter

import torch
import torch.nn.functional as F

from engine.config.model import ModelSettings
from engine.device import Placement
from engine.models import registry

_MOST_ROWS = 2048
_SECONDS_A_SHAPE = 0.01
_FEWEST_TRIES = 4
_PRODUCTS_A_TRY = 32
"""On a GPU: to launch one and to wait for it can take longer than a small product does."""


def per_token(settings: ModelSettings, vocabulary: int, length: int, supervised: float = 1.0) -> float:
    """Operations to train on one token of rows of ``length``, forward and backward; the head sees those supervised.

    How many follows from the family's shape.
    """
    model = registry.skeleton(settings, vocabulary)
    head = registry.head(model)
    sizes = {
        name: weight.numel() * (supervised if name == head else 1.0)
        for name, weight in registry.matrices(model).items()
    }
    return settings.shape.operations(sizes, length)


@functools.cache
def peak(settings: ModelSettings, vocabulary: int, rows: int, placement: Placement) -> float:
    """Operations a second in products of ``rows`` positions with the model's matrices, each as often as it occurs.

    The best of a few tries, some milliseconds for each shape; measured once in a process. On a processor it is one
    thread's own time, for all threads: what else the machine does must not look like a slow machine.
    """
    rows = min(rows, _MOST_ROWS)
    shapes = Counter(weight.shape for weight in registry.matrices(registry.skeleton(settings, vocabulary)).values())
    operations = sum(count * 2.0 * rows * shape.numel() for shape, count in shapes.items())
    return operations / sum(count * _seconds(shape, rows, placement) for shape, count in shapes.items())


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

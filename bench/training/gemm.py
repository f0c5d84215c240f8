"""What the processor does in bare matrix products of the model's own shapes, and how many operations a token takes."""

import time

import torch
from work import Size

from engine.families.gpt2 import Gpt2Shape
from engine.families.thor import ThorShape
from engine.models import registry

_TRIES, _ENOUGH = 9, 2.0
"""Of a product; no more tries than take these seconds."""
_PRODUCTS_A_TRY = {"cpu": 1, "cuda": 32}
"""On a GPU: to launch one and to wait for it can take longer than a small product does."""


def products(size: Size) -> list[tuple[int, int, int]]:
    """Inputs, outputs and number of the products with weights that a token goes through forward."""
    shape = size.model.shape
    assert isinstance(shape, ThorShape | Gpt2Shape)
    width = shape.hidden
    head = [(width, size.vocabulary, 1)]
    if isinstance(shape, Gpt2Shape):
        layer = [(width, 3 * width, 1), (width, width, 1), (width, 4 * width, 1), (4 * width, width, 1)]
    else:
        kv = shape.kv_heads * shape.width
        inner = shape.feed_forward
        layer = [(width, shape.heads * shape.width, 2), (width, kv, 2), (width, inner, 2), (inner, width, 1)]
    return head + [(inputs, outputs, count * shape.layers) for inputs, outputs, count in layer]


def parameters(size: Size) -> int:
    return registry.parameter_count(size.model, size.vocabulary)


def flops_per_token(size: Size) -> float:
    """Forward and backward: six for each weight in a product, and attention as if nothing were masked."""
    shape = size.model.shape
    assert isinstance(shape, ThorShape | Gpt2Shape)
    weights = sum(inputs * outputs * count for inputs, outputs, count in products(size))
    return 6 * weights + 12 * shape.layers * shape.hidden * size.length


def peak(size: Size, device: str, dtype: torch.dtype) -> float:
    """Operations a second over a step's products: forward, and backward by both operands."""
    rows = size.batch_size * size.length
    seconds = flops = 0.0
    for inputs, outputs, count in products(size):
        x = torch.ones(rows, inputs, dtype=dtype, device=device)
        weight = torch.ones(outputs, inputs, dtype=dtype, device=device)
        y = torch.ones(rows, outputs, dtype=dtype, device=device)
        seconds += count * (_best(x, weight.t()) + _best(y, weight) + _best(y.t(), x))
        flops += count * 6 * rows * inputs * outputs
    return flops / seconds


def _best(a: torch.Tensor, b: torch.Tensor) -> float:
    times = []
    count = _PRODUCTS_A_TRY[a.device.type]
    while len(times) < _TRIES and sum(times) * count < _ENOUGH:
        began = time.perf_counter()
        for _ in range(count):
            torch.mm(a, b)
        if a.device.type == "cuda":
            torch.cuda.synchronize()
        times.append((time.perf_counter() - began) / count)
    return min(times)

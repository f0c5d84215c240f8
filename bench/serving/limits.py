"""What the machine allows: bytes from memory for decoding, products for prompts."""

import time

import torch

from engine.families.gpt2 import Gpt2Shape
from engine.families.thor import ThorShape
from engine.models import registry
from serving.weights import Shape

_TOKENS, _TRIES = 512, 8


def product_peak(shape: Shape) -> float:
    """Operations a second of torch's products in float32, of the widest matrix of a layer with 512 tokens."""
    model = shape.settings.shape
    width = 4 * model.hidden if isinstance(model, Gpt2Shape) else model.feed_forward
    x, weight = torch.ones(_TOKENS, model.hidden), torch.ones(width, model.hidden)
    best = float("inf")
    for _ in range(_TRIES):
        began = time.perf_counter()
        torch.mm(x, weight.t())
        best = min(best, time.perf_counter() - began)
    return 2 * x.numel() * width / best


def operations_of_prompts(shape: Shape) -> int:
    """For a token of a prompt: two for each weight of the layers. Scores are wanted of the last token only."""
    return 2 * registry.parameter_count(shape.settings, 1)


def bytes_of_step(weight_bytes: int, shape: Shape, positions: int) -> float:
    """Read to give a token to each row, which have so many positions together; caches are of 16 bits.

    A table of embeddings that is not the head, too, is not read through.
    """
    model = shape.settings.shape
    tied = isinstance(model, Gpt2Shape) or model.tied
    looked_up = 0 if tied else shape.vocabulary * model.hidden
    read = weight_bytes * (1 - looked_up / registry.parameter_count(shape.settings, shape.vocabulary))
    width = model.kv_heads * model.width if isinstance(model, ThorShape) else model.hidden
    return read + positions * model.layers * 2 * width * 2

"""Cosines and sines of rotary positions for the kernel."""

import math

import torch

from engine.models.pages import Pool
from engine.models.rotary import rotation
from engine.models.thor import Thor


class Rotations:
    """Cosines and sines of positions, [context, head / 2] each, computed as far as rows have come.

    What attention scores are multiplied by is in them, its root in the lengths of queries and of keys.
    """

    _TOGETHER = 512

    def __init__(self, model: Thor) -> None:
        query_scale = model.shape.attention_multiplier * math.sqrt(model.shape.width) or 1.0
        self._frequencies, self._magnitude = model.frequencies, model.magnitude * math.sqrt(query_scale)
        self._context, self._half = model.shape.context, model.shape.width // 2
        cpu, sizes = torch.device("cpu"), {"first": self._context, "most": self._context}
        self.cosines, self.sines = (Pool((self._half,), torch.float32, cpu, **sizes) for _ in range(2))
        self._known = 0

    def reach(self, positions: int) -> None:
        """Compute as far as so many positions, always in the same pieces, so that a number is always the same."""
        while self._known < positions:
            end = min(self._known + self._TOGETHER, self._context)
            positions_BT = torch.arange(self._known, end, device="cpu")[None]
            parts = rotation(positions_BT, self._frequencies, self._magnitude)  # both halves of a head alike
            for pool, part in zip((self.cosines, self.sines), parts, strict=True):
                pool.memory[self._known : end] = part[0, 0, :, : self._half]
            self._known = end

"""The ``agiformer`` family. Its network is `engine.models.agiformer`."""

from collections.abc import Mapping

from pydantic import model_validator

from engine.families.family import Family, ModelShape, check_heads
from engine.section import Length, Rounds, Scale, Width

PATCH = 4
"""Bytes in a patch."""


class AgiformerShape(ModelShape):
    """What decides the weights of an ``agiformer``. ``context`` counts bytes, ``window`` patches of four."""

    heads: Width
    feed_forward: Width
    context: Length = 4096
    window: Length = 128
    thinking_steps: Rounds = 3
    rope_theta: Scale = 10_000.0
    norm_epsilon: Scale = 1e-5

    def operations(self, matrices: Mapping[str, float], length: int) -> float:
        """Layers and thinking work on patches, one in four bytes, and thinking's weights serve in every round."""
        thinking = sum(size for name, size in matrices.items() if name.startswith("thinking."))
        layers = sum(size for name, size in matrices.items() if name.startswith("layers."))
        rounds = self.layers + self.thinking_steps
        attention = 12.0 * rounds * self.hidden * min(length / PATCH, self.window)
        once = sum(matrices.values()) - thinking - layers
        return 6.0 * (once + (layers + self.thinking_steps * thinking) / PATCH) + attention / PATCH

    @model_validator(mode="after")
    def _is_possible(self) -> "AgiformerShape":
        check_heads(self.hidden, self.heads)
        if (self.hidden // self.heads) % 2:
            raise ValueError(f"hidden / heads ({self.hidden // self.heads}) must be even for rotary positions")
        return self


AGIFORMER = Family(
    network="engine.models.agiformer:Agiformer",
    presets={
        "tiny": AgiformerShape(hidden=192, layers=2, heads=6, feed_forward=512, context=1024),
        "base": AgiformerShape(hidden=512, layers=6, heads=8, feed_forward=1408),
    },
    default="base",
    blocks=r"layers\.\d+|thinking|decoder",
    embeddings=frozenset({"reader.embedding", "places", "head.weight", "start"}),
    heads=("head.weight",),
    reads_bytes=True,
)

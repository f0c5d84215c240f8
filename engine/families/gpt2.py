"""The ``gpt2`` family. Its network is `engine.models.gpt2`."""

from collections.abc import Mapping

from pydantic import model_validator

from engine.families.family import Family, ModelShape, check_heads
from engine.section import Length, Scale, Width


class Gpt2Shape(ModelShape):
    """What decides the weights of a ``gpt2`` decoder; inside the feed-forward part it is four times as wide."""

    heads: Width
    context: Length = 1024
    norm_epsilon: Scale = 1e-5

    def operations(self, matrices: Mapping[str, float], length: int) -> float:
        """Those of the matrices, and those of attention, causal or not."""
        width = self.hidden // self.heads * self.heads
        return super().operations(matrices, length) + 12.0 * self.layers * width * length

    @model_validator(mode="after")
    def _is_possible(self) -> "Gpt2Shape":
        check_heads(self.hidden, self.heads)
        return self


GPT2 = Family(
    network="engine.models.gpt2:Gpt2",
    presets={
        "tiny": Gpt2Shape(hidden=192, layers=4, heads=6, context=512),
        "small": Gpt2Shape(hidden=384, layers=6, heads=6),
        "124m": Gpt2Shape(hidden=768, layers=12, heads=12),
        "355m": Gpt2Shape(hidden=1024, layers=24, heads=16),
        "774m": Gpt2Shape(hidden=1280, layers=36, heads=20),
    },
    default="124m",
    blocks=r"transformer\.h\.\d+",
    embeddings=frozenset({"transformer.wte.weight", "transformer.wpe.weight"}),
    heads=("transformer.wte.weight",),
    kernel="engine.inference.native.gpt2:GPT2",
    layouts=("engine.huggingface.layouts.gpt2:LAYOUT",),
)

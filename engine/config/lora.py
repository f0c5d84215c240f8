"""``[training.lora]``: the adapter that a run with ``training.method = "lora"`` learns."""

from pydantic import Field

from engine.config.inference import Quantization
from engine.section import Section


class LoraSettings(Section):
    """``[training.lora]``: an adapter for every linear map of the model's blocks (Hu et al., 2106.09685)."""

    rank: int = Field(
        16,
        gt=0,
        le=1024,
        description="Rank of a new adapter. One that goes on learning from cycle to cycle keeps the rank it has.",
    )
    quantization: Quantization | None = Field(
        None,
        examples=["int8"],
        description="Quantize the base that an adapter is trained beside: a half or a quarter of its memory, and the "
        "adapter learns beside what serves. Unset: as inference.quantization.",
    )
    alpha: float = Field(
        32.0,
        gt=0,
        description="Scale of a new adapter: its change to a weight is multiplied by alpha / rank.",
    )

"""``[inference]``: the engine that answers."""

from typing import Literal

from pydantic import Field

from engine.config.placement import Device, Precision
from engine.section import Section

Quantization = Literal["none", "int8", "int4"]


class InferenceSettings(Section):
    """``[inference]``: the engine that answers."""

    device: Device = Field("auto", description="Where to answer.")
    precision: Precision = Field(
        "auto",
        description="Numeric precision for inference; auto takes bf16 wherever the kernel is used.",
    )
    quantization: Quantization = Field(
        "none",
        description="Weights in 8 or 4 bits: less memory, faster, a little worse; 'thorctl version' says how much.",
    )
    max_batch: int = Field(16, gt=0, description="Requests decoded together.")
    max_queue: int = Field(256, gt=0, description="Requests that may wait; beyond it the answer is 429.")
    max_tokens: int | None = Field(
        None,
        examples=[1024],
        gt=0,
        description="Most tokens in any answer, whatever a client asks for; unset, the context is the limit.",
    )
    drain_seconds: float = Field(
        120.0, gt=0, description="How long requests may finish on a version that was replaced."
    )
    memory_megabytes: int = Field(
        0, ge=0, description="Most memory that weights and caches of all versions may take; 0: what the machine has."
    )
    threads: int = Field(0, ge=0, description="Processor threads; 0 takes the physical cores.")

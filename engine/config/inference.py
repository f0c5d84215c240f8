"""``[inference]``: the engine that answers."""

from typing import Literal

from pydantic import Field

from engine.config.placement import Device, Precision
from engine.section import Section

Quantization = Literal["none", "int8", "int4"]
AdapterForm = Literal["auto", "merged", "unmerged"]
Form = Literal["whole", "merged", "unmerged"]
"""Of a version in memory: with weights of its own, an adapter merged into its base, or one beside it."""


class InferenceSettings(Section):
    """``[inference]``: the engine that generates answers."""

    device: Device = Field("auto", description="Device to run inference on.")
    precision: Precision = Field(
        "auto",
        description="Numeric precision for inference; auto uses bf16 wherever the kernel is used.",
    )
    quantization: Quantization = Field(
        "none",
        description="Quantize the weights to 8 or 4 bits: less memory and faster, at a small loss of quality; "
        "'thorctl version' reports the loss.",
    )
    max_batch: int = Field(16, gt=0, description="Maximum number of requests decoded together.")
    max_queue: int = Field(
        256, gt=0, description="Maximum number of waiting requests; beyond it, requests are refused with status 429."
    )
    max_tokens: int | None = Field(
        None,
        examples=[1024],
        gt=0,
        description="Maximum number of tokens in an answer, whatever a client asks for. Unset: limited by the context"
        " only.",
    )
    drain_seconds: float = Field(
        120.0, gt=0, description="How long running requests may continue on a version that was replaced."
    )
    memory_megabytes: int = Field(
        0, ge=0, description="Maximum memory for the weights and caches of all versions; 0: as much as the machine has."
    )
    adapters: AdapterForm = Field(
        "auto",
        description="Whether an adapter is merged into its base when a version is loaded, or computed beside a base "
        "that versions share; auto merges where memory holds two merged versions and the base is not quantized.",
    )
    resident_versions: int = Field(
        16,
        ge=2,
        description="Maximum number of versions in memory where they share a base. Of versions with weights of their "
        "own, at most two are in memory.",
    )
    unload_seconds: float = Field(
        300.0,
        gt=0,
        description="Unload a version that was loaded only for jobs when no job has asked for it for this long.",
    )
    threads: int = Field(0, ge=0, description="Number of processor threads; 0 uses one per physical core.")

"""Every architecture that thord reads and writes, and the one that is nearest to a shape."""

import math

from pydantic import JsonValue

from engine.families.family import ModelShape
from engine.families.gpt2 import Gpt2Shape
from engine.families.thor import ThorShape
from engine.foreign_model import ForeignModelError
from engine.gguf.architectures import positions
from engine.gguf.architectures.architecture import Architecture
from engine.gguf.architectures.decoder import Decoder, Sizes
from engine.gguf.architectures.gpt2 import Gpt2


def _gemma(settings: Sizes, largest: int) -> dict[str, JsonValue]:
    """How a Gemma scales embeddings and attention: the largest by the width of its heads if they shared the model's."""
    hidden, heads, width = (_count(settings[key]) for key in ("hidden", "heads", "head_width"))
    divisor = hidden // heads if settings["layers"] == largest else width
    return {"embedding_multiplier": math.sqrt(hidden), "attention_multiplier": divisor**-0.5}


def _count(value: JsonValue) -> int:
    assert isinstance(value, int)
    return value


_UNBIASED: dict[str, JsonValue] = {"qkv_bias": False}
_GEMMA: dict[str, JsonValue] = {**_UNBIASED, "norm_kind": "rms_offset", "norm_placement": "sandwich", "mlp": "geglu"}
_LLAMA3 = positions.USUAL | {"llama3"}

LLAMA = Decoder("llama", scalings=_LLAMA3, window="ignored", turns_neighbours=True)
QWEN2 = Decoder("qwen2", window="ignored")
QWEN3 = Decoder("qwen3", {**_UNBIASED, "qk_norm": True}, window="ignored")
GEMMA2 = Decoder(
    "gemma2",
    {**_GEMMA, "tied": True},
    {
        "attention.sliding_window": ("window", 4096),
        "attention.sliding_window_pattern": ("global_interval", 2),
        "attn_logit_softcapping": ("attention_softcap", 50.0),
        "final_logit_softcapping": ("logits_softcap", 30.0),
    },
    lambda settings: _gemma(settings, 46),
    needs=("attention_softcap", "logits_softcap"),
    window="yes",
)
GEMMA3 = Decoder(
    "gemma3",
    {**_GEMMA, "qk_norm": True},
    {
        "attention.sliding_window_pattern": ("global_interval", 6),
        "final_logit_softcapping": ("logits_softcap", 0.0),
        "rope.freq_base_swa": ("rope_local_theta", 10_000.0),
    },
    lambda settings: _gemma(settings, 62),
    needs=("rope_local_theta",),
    scalings=frozenset({"linear"}),
    window="yes",
)
PHI3 = Decoder(
    "phi3",
    {**_UNBIASED, "projections": "fused"},
    scalings=frozenset({"longrope"}),
    window="ignored",
    turns_part=True,
    is_square=True,
)
SMOLLM3 = Decoder("smollm3", {**_UNBIASED, "nope_interval": 4}, turns_neighbours=True)
OLMO2 = Decoder(
    "olmo2",
    {**_UNBIASED, "norm_placement": "post", "qk_norm": True, "qk_norm_scope": "projection", "tied": False},
    is_square=True,
)
GRANITE = Decoder(
    "granite",
    _UNBIASED,
    own={
        "attention.scale": ("attention_multiplier", 0.0),
        "embedding_scale": ("embedding_multiplier", 1.0),
        "residual_scale": ("residual_multiplier", 1.0),
        "logit_scale": ("logits_divisor", 1.0),
    },
    scalings=_LLAMA3,
    turns_neighbours=True,
)
GPTNEOX = Decoder(
    "gptneox",
    {
        "norm_kind": "layer",
        "linear_bias": True,
        "projections": "fused_by_head",
        "mlp": "gelu_tanh",  # which is what llama.cpp computes, of models with the exact one too
        "tied": False,
    },
    {"use_parallel_residual": ("parallel_residual", True)},
    epsilon="attention.layer_norm_epsilon",
    turns_part=True,
    is_square=True,
)
GPT2 = Gpt2()
BY_NAME: dict[str, Architecture] = {
    arch.name: arch for arch in (LLAMA, QWEN2, QWEN3, GEMMA2, GEMMA3, PHI3, SMOLLM3, OLMO2, GRANITE, GPTNEOX, GPT2)
}


def nearest(family: str, shape: ModelShape) -> Architecture:
    """The architecture that has most of what a shape has beyond a Llama; it need not have all of it.

    Raises:
        ForeignModelError: llama.cpp has none for the family.
    """
    if isinstance(shape, Gpt2Shape):
        return GPT2
    if not isinstance(shape, ThorShape):
        raise ForeignModelError(
            f"llama.cpp has no architecture for the family '{family}'; only thor and gpt2 can be written"
        )
    if shape.norm_placement == "sandwich":
        return GEMMA3 if shape.qk_norm else GEMMA2
    if shape.norm_placement == "post":
        return OLMO2
    if shape.projections != "separate":
        return PHI3 if shape.projections == "fused" else GPTNEOX
    if shape.nope_interval:
        return SMOLLM3
    scaled = (shape.embedding_multiplier, shape.residual_multiplier, shape.logits_divisor)
    if shape.attention_multiplier or scaled != (1.0, 1.0, 1.0):
        return GRANITE
    if shape.qk_norm:
        return QWEN3
    is_usual = shape.width * shape.heads == shape.hidden and shape.rope_scaling != "llama3"
    return QWEN2 if shape.qkv_bias and is_usual else LLAMA

"""The sizes of a model in a GGUF file, as thord's settings of it.

    llama, qwen2, qwen3   thor: biases on queries, keys and values, or norms on queries and keys
    gpt2                  gpt2

A key that changes what a model computes, and that is not read here, is refused by name.
"""

from pydantic import JsonValue, ValidationError

from engine.config.model import ModelSettings
from engine.families.thor import RopeScaling
from engine.foreign_model import ForeignModelError
from engine.gguf import names, rope_factors
from engine.gguf.container import GgufFile
from engine.gguf.metadata import Metadata
from engine.models import rotary

ARCHITECTURES = ("llama", "qwen2", "qwen3", "gpt2")
_READ = frozenset(
    {
        "block_count", "context_length", "embedding_length", "feed_forward_length", "attention.head_count",
        "attention.head_count_kv", "attention.key_length", "attention.value_length", "attention.sliding_window",
        "attention.layer_norm_epsilon", "attention.layer_norm_rms_epsilon", "rope.dimension_count", "rope.freq_base",
        "rope.scale_linear", "rope.scaling.type", "rope.scaling.factor", "rope.scaling.original_context_length",
    }
)  # fmt: skip
_WITHOUT_EFFECT = frozenset({"vocab_size", "tensor_data_layout", "rope.scaling.finetuned", "pooling_type"})
_AS_USUAL: dict[str, JsonValue] = {
    "attention.causal": True,
    "expert_count": 0,
    "expert_used_count": 0,
    "rope.scaling.attn_factor": 1.0,
    "rope.scaling.yarn_attn_factor": 1.0,
    "rope.scaling.yarn_beta_fast": rotary.YARN_FAST,
    "rope.scaling.yarn_beta_slow": rotary.YARN_SLOW,
    "rope.scaling.yarn_log_multiplier": 0.0,
    "use_parallel_residual": False,
}
"""Values that say what thord does anyway; any other value is refused."""


def read(file: GgufFile) -> ModelSettings:
    """The settings that make the model in a file.

    Raises:
        ForeignModelError: it is of an architecture that thord does not have, or something is missing.
    """
    known = file.metadata
    kind = known.text("general.type", "model")
    if kind == "adapter":
        raise ForeignModelError(f"{file.path} is a LoRA adapter, not a whole model: merge it into its model first")
    if kind != "model":
        raise ForeignModelError(f"{file.path} is not a language model: its general.type is '{kind}'")
    parts = known.integer("split.count", 1)
    if parts > 1:
        raise ForeignModelError(
            f"{file.path} is one of {parts} files: put them together with llama.cpp's 'llama-gguf-split --merge'"
        )
    arch = known.text("general.architecture")
    if arch not in ARCHITECTURES:
        raise ForeignModelError(
            f"{file.path}: architecture '{arch}' is not known; known are {', '.join(ARCHITECTURES)}"
        )
    _refuse_what_is_not_read(known, arch)
    try:
        return _gpt2(known) if arch == "gpt2" else _thor(file, arch)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise ForeignModelError(f"{file.path}: {faults}") from error


def _refuse_what_is_not_read(known: Metadata, arch: str) -> None:
    for key in known:
        name = key.removeprefix(f"{arch}.")
        if name == key or name in _READ or name in _WITHOUT_EFFECT:
            continue
        if name not in _AS_USUAL or known.get(key) != _AS_USUAL[name]:
            raise ForeignModelError(f"{known.path}: {key} is something that thord's families do not have")


def _thor(file: GgufFile, arch: str) -> ModelSettings:
    known = file.metadata
    hidden, heads = known.integer(f"{arch}.embedding_length"), known.integer(f"{arch}.attention.head_count")
    if heads < 1:
        raise ForeignModelError(f"{file.path}: {arch}.attention.head_count is {heads}")
    width = known.integer(f"{arch}.attention.key_length", hidden // heads)
    for key in ("attention.value_length", "rope.dimension_count"):
        if known.integer(f"{arch}.{key}", width) != width:
            raise ForeignModelError(f"{file.path}: {arch}.{key} is not the width of a head, {width}")
    context = known.integer(f"{arch}.context_length")
    theta = known.number(f"{arch}.rope.freq_base", 10_000.0)
    scaling, factor, trained = _scaling(file, arch, width, theta, context)
    return ModelSettings(
        family="thor",
        hidden=hidden,
        layers=known.integer(f"{arch}.block_count"),
        heads=heads,
        kv_heads=known.integer(f"{arch}.attention.head_count_kv", heads),
        head_width=width,
        feed_forward=known.integer(f"{arch}.feed_forward_length"),
        context=context,
        window=known.integer(f"{arch}.attention.sliding_window", 0),
        rope_theta=theta,
        rope_scaling=scaling,
        rope_factor=factor,
        rope_trained=trained,
        norm_epsilon=known.number(f"{arch}.attention.layer_norm_rms_epsilon"),
        tied=names.HEAD not in file.tensors,
        qkv_bias="blk.0.attn_q.bias" in file.tensors,
        qk_norm=arch == "qwen3",
    ).resolved


def _scaling(file: GgufFile, arch: str, width: int, theta: float, context: int) -> tuple[RopeScaling, float, int]:
    """How positions are stretched: in which way, how far, and beyond which length."""
    known = file.metadata
    kind = known.text(f"{arch}.rope.scaling.type", "linear")
    factor = known.number(f"{arch}.rope.scaling.factor", known.number(f"{arch}.rope.scale_linear", 1.0)) or 1.0
    trained = known.integer(f"{arch}.rope.scaling.original_context_length", context)
    if kind not in ("none", "linear", "yarn"):
        raise ForeignModelError(f"{file.path}: {arch}.rope.scaling.type '{kind}' is not known")
    if names.ROPE_FACTORS in file.tensors:
        if kind == "yarn" or (kind == "linear" and factor != 1.0):
            raise ForeignModelError(f"{file.path}: positions are stretched both by {kind} and by {names.ROPE_FACTORS}")
        factor, trained = rope_factors.explained(file, width, theta)
        return "llama3", factor, trained
    if kind == "none" or factor == 1.0:
        return "none", 1.0, context
    return ("yarn" if kind == "yarn" else "linear"), factor, trained


def _gpt2(known: Metadata) -> ModelSettings:
    hidden, inner = known.integer("gpt2.embedding_length"), known.integer("gpt2.feed_forward_length")
    if inner != 4 * hidden:
        raise ForeignModelError(f"{known.path}: gpt2.feed_forward_length is {inner}, and not four times the width")
    return ModelSettings(
        family="gpt2",
        hidden=hidden,
        layers=known.integer("gpt2.block_count"),
        heads=known.integer("gpt2.attention.head_count"),
        context=known.integer("gpt2.context_length"),
        norm_epsilon=known.number("gpt2.attention.layer_norm_epsilon"),
    ).resolved

"""How the kernel computes ``thor``.

It has no factors for embeddings, residuals, attention and logits, as Granite needs them: they are put into weights.
Where embeddings are multiplied by m, and what layers add by r, the residual stream is held at 1 / m of its size, what
goes into it is multiplied by r / m, and the epsilon of norms that read it by 1 / m^2. Queries and keys grow by the root
of attention's factor as they are rotated. The last norm divides for the logits.
"""

from collections.abc import Sequence

from torch import Tensor

from engine.config.inference import Quantization
from engine.families.family import ModelShape
from engine.families.thor import ThorShape
from engine.inference.native.kernel_family import KernelFamily, LayerWeights, check, uneven_heads
from engine.inference.native.packing import Packed
from engine.inference.native.program import Buffer, Program
from engine.inference.native.rotations import Rotations
from engine.models.base import LanguageModel
from engine.models.thor import Thor
from engine.native import library

_COMPUTED = frozenset(
    {
        "global_interval", "nope_interval", "attention_multiplier", "embedding_multiplier", "residual_multiplier",
        "logits_divisor", "rope_short", "rope_long",
    }
)  # fmt: skip
"""What no Llama has, and the kernel computes all the same."""


def _lacks(shape: ModelShape) -> list[str]:
    if not isinstance(shape, ThorShape):
        raise TypeError(f"the shape of a thor is expected, not a {type(shape).__name__}")
    beyond = {key: value for key, value in shape.beyond_llama.items() if key not in _COMPUTED}
    if beyond.get("projections") == "fused":
        del beyond["projections"]
    lacking = [f"{key} = {value}" for key, value in beyond.items()]
    if shape.attention_multiplier and not all(shape.rotated):
        lacking.append(f"attention_multiplier = {shape.attention_multiplier} in layers without positions")
    return [*lacking, *uneven_heads(shape.width)]


def _write(model: LanguageModel, quantization: Quantization) -> tuple[Program, Packed]:
    if not isinstance(model, Thor):
        raise TypeError(f"a thor is expected, not a {type(model).__name__}")
    dtype = model.model.embed_tokens.weight.dtype
    check(_lacks(model.shape), dtype)
    program = Program(quantization, dtype, model.shape.kv_heads, model.shape.width)
    return program, _write_operations(program, model)


def _write_operations(program: Program, model: Thor) -> Packed:
    """The operations of the family; the packed head."""
    shape, weights = model.shape, dict(model.named_parameters())
    epsilon, is_fused = shape.norm_epsilon, shape.projections == "fused"
    into_residual = shape.residual_multiplier / shape.embedding_multiplier
    read_epsilon = epsilon / shape.embedding_multiplier**2
    table = program.pack(weights["model.embed_tokens.weight"], None)
    x, normed, mixed = Buffer(shape.hidden), Buffer(shape.hidden), Buffer(shape.heads * shape.width)
    wide = Buffer((shape.heads + 2 * shape.kv_heads) * shape.width)
    both, inner = Buffer(2 * shape.feed_forward), Buffer(shape.feed_forward)
    program.rotations = Rotations(model)
    turn = program.rotations.cosines.memory, program.rotations.sines.memory
    program.embed(table, x, None)
    for number, (window, is_rotated) in enumerate(zip(shape.windows, shape.rotated, strict=True)):
        layer = LayerWeights(weights, f"model.layers.{number}.")
        program.norm(x, normed, layer["input_layernorm.weight"], None, read_epsilon)
        parts = ["self_attn.qkv_proj"] if is_fused else [f"self_attn.{part}_proj" for part in "qkv"]
        weight = _stacked([layer[f"{part}.weight"] for part in parts])
        bias = _stacked([layer[f"{part}.bias"] for part in parts]) if shape.qkv_bias else None
        program.product(normed, wide, weight, bias, maps=layer.maps(*parts))
        norms = None
        if shape.qk_norm:
            norms = program.keep(layer["self_attn.q_norm.weight"]), program.keep(layer["self_attn.k_norm.weight"])
        program.attend(wide, mixed, shape.heads, shape.kv_heads, window, turn if is_rotated else None, norms, epsilon)
        out = layer.maps("self_attn.o_proj")
        program.product(mixed, x, layer["self_attn.o_proj.weight"], None, library.ADD, maps=out, factor=into_residual)
        program.norm(x, normed, layer["post_attention_layernorm.weight"], None, read_epsilon)
        parts = ["mlp.gate_up_proj"] if is_fused else ["mlp.gate_proj", "mlp.up_proj"]
        gate_up = _stacked([layer[f"{part}.weight"] for part in parts])
        program.product(normed, both, gate_up, None, maps=layer.maps(*parts))
        program.gate(both, inner)
        down = layer.maps("mlp.down_proj")
        program.product(inner, x, layer["mlp.down_proj.weight"], None, library.ADD, maps=down, factor=into_residual)
    last = weights["model.norm.weight"].float() / shape.logits_divisor
    program.norm(x, Buffer(shape.hidden), last, None, read_epsilon)
    return table if shape.tied else program.pack(weights["lm_head.weight"], None)


def _stacked(weights: Sequence[Tensor]) -> Tensor:
    """Weights one below the other, as by ``torch.cat``, which on the device ``meta`` imports torch's compiler first."""
    stacked = weights[0].new_empty((sum(len(weight) for weight in weights), *weights[0].shape[1:]))
    below = 0
    for weight in weights:
        stacked[below : below + len(weight)].copy_(weight.detach())
        below += len(weight)
    return stacked


THOR = KernelFamily(_lacks, _write, lies_across=lambda _: False)

"""How the kernel computes ``thor``."""

from collections.abc import Sequence

from torch import Tensor

from engine.config.inference import Quantization
from engine.families.family import ModelShape
from engine.families.thor import ThorShape
from engine.inference.native.kernel_family import KernelFamily, LayerWeights, fits
from engine.inference.native.packing import Packed
from engine.inference.native.program import Buffer, Program
from engine.inference.native.rotations import Rotations
from engine.models.base import LanguageModel
from engine.models.thor import Thor
from engine.native import library


def _head_width(shape: ModelShape) -> int:
    if not isinstance(shape, ThorShape):
        raise TypeError(f"the shape of a thor is expected, not a {type(shape).__name__}")
    return shape.width


def _write(model: LanguageModel, quantization: Quantization) -> tuple[Program, Packed] | None:
    if not isinstance(model, Thor):
        raise TypeError(f"a thor is expected, not a {type(model).__name__}")
    dtype = model.model.embed_tokens.weight.dtype
    if not fits(model.shape.width, dtype):
        return None
    program = Program(quantization, dtype, model.shape.kv_heads, model.shape.width)
    return program, _write_operations(program, model)


def _write_operations(program: Program, model: Thor) -> Packed:
    """The operations of the family; the packed head."""
    shape, weights = model.shape, dict(model.named_parameters())
    epsilon = shape.norm_epsilon
    table = program.pack(weights["model.embed_tokens.weight"], None)
    x, normed, mixed = Buffer(shape.hidden), Buffer(shape.hidden), Buffer(shape.heads * shape.width)
    wide = Buffer((shape.heads + 2 * shape.kv_heads) * shape.width)
    both, inner = Buffer(2 * shape.feed_forward), Buffer(shape.feed_forward)
    program.rotations = Rotations(model)
    turn = program.rotations.cosines.memory, program.rotations.sines.memory
    program.embed(table, x, None)
    for number in range(shape.layers):
        layer = LayerWeights(weights, f"model.layers.{number}.")
        program.norm(x, normed, layer["input_layernorm.weight"], None, epsilon)
        parts = [f"self_attn.{part}_proj" for part in "qkv"]
        weight = _stacked([layer[f"{part}.weight"] for part in parts])
        bias = _stacked([layer[f"{part}.bias"] for part in parts]) if shape.qkv_bias else None
        program.product(normed, wide, weight, bias, maps=layer.maps(*parts))
        norms = None
        if shape.qk_norm:
            norms = program.keep(layer["self_attn.q_norm.weight"]), program.keep(layer["self_attn.k_norm.weight"])
        program.attend(wide, mixed, shape.heads, shape.kv_heads, shape.window, turn, norms, epsilon)
        out = layer.maps("self_attn.o_proj")
        program.product(mixed, x, layer["self_attn.o_proj.weight"], None, library.ADD, maps=out)
        program.norm(x, normed, layer["post_attention_layernorm.weight"], None, epsilon)
        gate_up = _stacked([layer["mlp.gate_proj.weight"], layer["mlp.up_proj.weight"]])
        program.product(normed, both, gate_up, None, maps=layer.maps("mlp.gate_proj", "mlp.up_proj"))
        program.gate(both, inner)
        program.product(inner, x, layer["mlp.down_proj.weight"], None, library.ADD, maps=layer.maps("mlp.down_proj"))
    program.norm(x, Buffer(shape.hidden), weights["model.norm.weight"], None, epsilon)
    return table if shape.tied else program.pack(weights["lm_head.weight"], None)


def _stacked(weights: Sequence[Tensor]) -> Tensor:
    """Weights one below the other, as by ``torch.cat``, which on the device ``meta`` imports torch's compiler first."""
    stacked = weights[0].new_empty((sum(len(weight) for weight in weights), *weights[0].shape[1:]))
    below = 0
    for weight in weights:
        stacked[below : below + len(weight)].copy_(weight.detach())
        below += len(weight)
    return stacked


THOR = KernelFamily(_head_width, _write, lies_across=lambda _: False)

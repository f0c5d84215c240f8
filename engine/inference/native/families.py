"""What the kernel computes of each family: gpt2 and thor."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.config.inference import Quantization
from engine.config.model import ModelSettings
from engine.families.gpt2 import Gpt2Shape
from engine.families.thor import ThorShape
from engine.inference.native import packing
from engine.inference.native.packing import LANES, Packed
from engine.inference.native.program import CACHES, Buffer, Program
from engine.inference.native.rotations import Rotations
from engine.models.base import LanguageModel
from engine.models.gpt2 import WIDENING, Gpt2
from engine.models.thor import Thor
from engine.native import library

Computed = Gpt2 | Thor


def computed(model: LanguageModel) -> Computed | None:
    """The model, if the kernel can compute it."""
    if isinstance(model, Gpt2):
        head, dtype = model.shape.hidden // model.shape.heads, model.transformer.wte.weight.dtype
    elif isinstance(model, Thor):
        head, dtype = model.shape.width, model.model.embed_tokens.weight.dtype
    else:
        return None
    return model if head % LANES == 0 and dtype in CACHES else None


def computes(settings: ModelSettings) -> bool:
    """Whether the kernel can compute such a model, in bf16 or float32."""
    match settings.shape:
        case Gpt2Shape() as shape:
            return (shape.hidden // shape.heads) % LANES == 0
        case ThorShape() as shape:
            return shape.width % LANES == 0
        case _:
            return False


def write(model: Computed, quantization: Quantization) -> tuple[Program, Packed]:
    """The operations from token to last hidden state; and the packed head, which makes scores of that."""
    if isinstance(model, Gpt2):
        dtype, heads = model.transformer.wte.weight.dtype, model.shape.heads
        program = Program(quantization, dtype, heads, model.shape.hidden // heads)
        return program, _write_gpt2(program, model)
    program = Program(quantization, model.model.embed_tokens.weight.dtype, model.shape.kv_heads, model.shape.width)
    return program, _write_thor(program, model)


def round_weights(model: Computed, quantization: Quantization) -> None:
    """Replace the matrices of a module by what their quantized form stands for: it then computes as a decoder would."""
    for name, weight in model.named_parameters():
        if weight.ndim == 2 and name != "transformer.wpe.weight":
            lies_across = name.startswith("transformer.h.")  # [inputs, outputs]
            rounded_NK = packing.rounded(weight.detach().t() if lies_across else weight.detach(), quantization)
            weight.data = (rounded_NK.t() if lies_across else rounded_NK).to(weight.dtype)


@dataclass(frozen=True)
class _LayerWeights:
    """The weights of one layer by what follows their common beginning."""

    weights: Mapping[str, Tensor]
    prefix: str

    def __getitem__(self, name: str) -> Tensor:
        return self.weights[self.prefix + name]


def _write_gpt2(program: Program, model: Gpt2) -> Packed:
    """The operations of the family; the packed embedding, which is the head too."""
    shape, weights = model.shape, dict(model.named_parameters())
    epsilon, inside = shape.norm_epsilon, WIDENING * shape.hidden
    table = program.pack(weights["transformer.wte.weight"], None)
    x, normed, mixed = Buffer(shape.hidden), Buffer(shape.hidden), Buffer(shape.hidden)
    wide, inner = Buffer(3 * shape.hidden), Buffer(inside)
    program.embed(table, x, weights["transformer.wpe.weight"])
    for number in range(shape.layers):
        layer = _LayerWeights(weights, f"transformer.h.{number}.")
        program.norm(x, normed, layer["ln_1.weight"], layer["ln_1.bias"], epsilon)
        program.product(normed, wide, layer["attn.c_attn.weight"].t(), layer["attn.c_attn.bias"])
        program.attend(wide, mixed, shape.heads, shape.heads)
        program.product(mixed, x, layer["attn.c_proj.weight"].t(), layer["attn.c_proj.bias"], library.ADD)
        program.norm(x, normed, layer["ln_2.weight"], layer["ln_2.bias"], epsilon)
        program.product(normed, inner, layer["mlp.c_fc.weight"].t(), layer["mlp.c_fc.bias"], library.GELU)
        program.product(inner, x, layer["mlp.c_proj.weight"].t(), layer["mlp.c_proj.bias"], library.ADD)
    last = weights["transformer.ln_f.weight"], weights["transformer.ln_f.bias"]
    program.norm(x, Buffer(shape.hidden), *last, epsilon)
    return table


def _write_thor(program: Program, model: Thor) -> Packed:
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
        layer = _LayerWeights(weights, f"model.layers.{number}.")
        program.norm(x, normed, layer["input_layernorm.weight"], None, epsilon)
        parts = [f"self_attn.{part}_proj" for part in "qkv"]
        weight = torch.cat([layer[f"{part}.weight"] for part in parts])
        bias = torch.cat([layer[f"{part}.bias"] for part in parts]) if shape.qkv_bias else None
        program.product(normed, wide, weight, bias)
        norms = None
        if shape.qk_norm:
            norms = program.keep(layer["self_attn.q_norm.weight"]), program.keep(layer["self_attn.k_norm.weight"])
        program.attend(wide, mixed, shape.heads, shape.kv_heads, shape.window, turn, norms, epsilon)
        program.product(mixed, x, layer["self_attn.o_proj.weight"], None, library.ADD)
        program.norm(x, normed, layer["post_attention_layernorm.weight"], None, epsilon)
        gate_up = torch.cat((layer["mlp.gate_proj.weight"], layer["mlp.up_proj.weight"]))
        program.product(normed, both, gate_up, None)
        program.gate(both, inner)
        program.product(inner, x, layer["mlp.down_proj.weight"], None, library.ADD)
    program.norm(x, Buffer(shape.hidden), weights["model.norm.weight"], None, epsilon)
    return table if shape.tied else program.pack(weights["lm_head.weight"], None)

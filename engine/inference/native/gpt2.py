"""How the kernel computes ``gpt2``."""

from engine.config.inference import Quantization
from engine.families.family import ModelShape
from engine.families.gpt2 import Gpt2Shape
from engine.inference.native.kernel_family import KernelFamily, LayerWeights, check, uneven_heads
from engine.inference.native.packing import Packed
from engine.inference.native.program import Buffer, Program
from engine.models.base import LanguageModel
from engine.models.gpt2 import WIDENING, Gpt2
from engine.native import library


def _lacks(shape: ModelShape) -> list[str]:
    if not isinstance(shape, Gpt2Shape):
        raise TypeError(f"the shape of a gpt2 is expected, not a {type(shape).__name__}")
    return uneven_heads(shape.hidden // shape.heads)


def _write(model: LanguageModel, quantization: Quantization) -> tuple[Program, Packed]:
    if not isinstance(model, Gpt2):
        raise TypeError(f"a gpt2 is expected, not a {type(model).__name__}")
    shape, dtype = model.shape, model.transformer.wte.weight.dtype
    check(_lacks(shape), dtype)
    program = Program(quantization, dtype, shape.heads, shape.hidden // shape.heads)
    return program, _write_operations(program, model)


def _write_operations(program: Program, model: Gpt2) -> Packed:
    """The operations of the family; the packed embedding, which is the head too."""
    shape, weights = model.shape, dict(model.named_parameters())
    epsilon, inside = shape.norm_epsilon, WIDENING * shape.hidden
    table = program.pack(weights["transformer.wte.weight"], None)
    x, normed, mixed = Buffer(shape.hidden), Buffer(shape.hidden), Buffer(shape.hidden)
    wide, inner = Buffer(3 * shape.hidden), Buffer(inside)
    program.embed(table, x, weights["transformer.wpe.weight"])
    for number in range(shape.layers):
        layer = LayerWeights(weights, f"transformer.h.{number}.")
        program.norm(x, normed, layer["ln_1.weight"], layer["ln_1.bias"], epsilon)
        _product(program, layer, "attn.c_attn", normed, wide)
        program.attend(wide, mixed, shape.heads, shape.heads)
        _product(program, layer, "attn.c_proj", mixed, x, library.ADD)
        program.norm(x, normed, layer["ln_2.weight"], layer["ln_2.bias"], epsilon)
        _product(program, layer, "mlp.c_fc", normed, inner, library.GELU)
        _product(program, layer, "mlp.c_proj", inner, x, library.ADD)
    last = weights["transformer.ln_f.weight"], weights["transformer.ln_f.bias"]
    program.norm(x, Buffer(shape.hidden), *last, epsilon)
    return table


def _product(
    program: Program, layer: LayerWeights, name: str, source: Buffer, target: Buffer, finish: int = library.SET
) -> None:
    """By a matrix that lies across."""
    weight_NK = layer[f"{name}.weight"].t()
    program.product(source, target, weight_NK, layer[f"{name}.bias"], finish, {layer.prefix + name: len(weight_NK)})


GPT2 = KernelFamily(
    _lacks,
    _write,
    lies_across=lambda name: name.startswith("transformer.h."),
    looked_up=frozenset({"transformer.wpe.weight"}),
    adapts=False,
)

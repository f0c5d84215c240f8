"""How positions turn, in the words of GGUF files: a base, and how they are stretched."""

import numpy as np
from pydantic import JsonValue

from engine.families.thor import ThorShape
from engine.foreign_model import ForeignModelError
from engine.gguf import names
from engine.gguf.architectures import rope_factors
from engine.gguf.container import GgufFile
from engine.models import rotary

USUAL = frozenset({"linear", "yarn"})
"""How nearly every architecture can stretch them, as thord calls it."""
KEYS = (
    "rope.dimension_count", "rope.freq_base", "rope.scale_linear", "rope.scaling.type", "rope.scaling.factor",
    "rope.scaling.original_context_length", "rope.scaling.attn_factor",
)  # fmt: skip
_TOLERANCE = 1e-5


def read(file: GgufFile, arch: str, width: int) -> dict[str, JsonValue]:
    """The settings of a model of which ``width`` values of each head turn.

    Raises:
        ForeignModelError: positions turn in a way that thord does not have.
    """
    known = file.metadata
    context = known.integer(f"{arch}.context_length")
    theta = known.number(f"{arch}.rope.freq_base", 10_000.0)
    kind = known.text(f"{arch}.rope.scaling.type", "linear")
    factor = known.number(f"{arch}.rope.scaling.factor", known.number(f"{arch}.rope.scale_linear", 1.0)) or 1.0
    trained = known.integer(f"{arch}.rope.scaling.original_context_length", context)
    found: dict[str, JsonValue] = {"rope_theta": theta, "rope_factor": factor, "rope_trained": trained}
    is_stretched = kind == "yarn" or (kind == "linear" and factor != 1.0)
    if names.ROPE_LONG in file.tensors:
        if is_stretched:
            raise ForeignModelError(f"{file.path}: positions are stretched both by {kind} and by {names.ROPE_LONG}")
        found |= _longrope(file, arch, width, context, trained)
        return found
    if known.number(f"{arch}.rope.scaling.attn_factor", 1.0) != 1.0:
        raise ForeignModelError(f"{file.path}: {arch}.rope.scaling.attn_factor is something that thord does not have")
    if kind not in ("none", "linear", "yarn"):
        raise ForeignModelError(f"{file.path}: {arch}.rope.scaling.type '{kind}' is not known")
    if names.ROPE_FACTORS in file.tensors:
        if is_stretched:
            raise ForeignModelError(f"{file.path}: positions are stretched both by {kind} and by {names.ROPE_FACTORS}")
        factor, trained = rope_factors.explained(file, width, theta)
        return found | {"rope_scaling": "llama3", "rope_factor": factor, "rope_trained": trained}
    if kind == "none" or factor == 1.0:
        return found | {"rope_scaling": "none", "rope_factor": 1.0, "rope_trained": context}
    return found | {"rope_scaling": kind}


def write(shape: ThorShape) -> dict[str, int | float | str]:
    """The keys of a shape, without the architecture before them."""
    keys: dict[str, int | float | str] = {
        "rope.dimension_count": shape.rotary_width,
        "rope.freq_base": shape.rope_theta,
    }
    match shape.rope_scaling:
        case "ntk":
            keys["rope.freq_base"] = rotary.stretched_theta(shape.rotary_width, shape.rope_theta, shape.rope_factor)
        case "linear" | "yarn":
            keys["rope.scaling.type"] = shape.rope_scaling
            keys["rope.scaling.factor"] = shape.rope_factor
            if shape.rope_trained:
                keys["rope.scaling.original_context_length"] = shape.rope_trained
        case "longrope":
            keys["rope.scaling.original_context_length"] = shape.rope_trained
            keys["rope.scaling.attn_factor"] = rotary.magnitude("longrope", shape.rope_factor, shape.rope_trained)
    return keys


def tensors(shape: ThorShape) -> dict[str, tuple[float, ...]]:
    """Tensors that say by what frequencies are divided."""
    match shape.rope_scaling:
        case "llama3":
            known = rope_factors.factors(shape.rotary_width, shape.rope_theta, shape.rope_factor, shape.rope_trained)
            return {names.ROPE_FACTORS: tuple(known.tolist())}
        case "longrope":
            return {names.ROPE_LONG: shape.rope_long, names.ROPE_SHORT: shape.rope_short}
    return {}


def _longrope(file: GgufFile, arch: str, width: int, context: int, trained: int) -> dict[str, JsonValue]:
    factors: dict[str, JsonValue] = {}
    for name, setting in ((names.ROPE_LONG, "rope_long"), (names.ROPE_SHORT, "rope_short")):
        record = file.tensors.get(name)
        if record is None or record.shape != (width // 2,):
            found = "missing" if record is None else f"{list(record.shape)}, not [{width // 2}]"
            raise ForeignModelError(f"{file.path}: {name} is {found}")
        factors[setting] = [float(str(factor)) for factor in file.read(name).astype(np.float32)]
    expected = rotary.magnitude("longrope", context / trained, trained)
    attention = file.metadata.number(f"{arch}.rope.scaling.attn_factor", expected)
    if abs(attention - expected) > _TOLERANCE:
        raise ForeignModelError(
            f"{file.path}: {arch}.rope.scaling.attn_factor is {attention}; thord has {expected:.6f} for these lengths"
        )
    return factors | {"rope_scaling": "longrope", "rope_factor": context / trained}

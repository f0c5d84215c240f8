"""A version's shape in the words of GGUF files: the architecture that computes the same, and its keys."""

from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType
from pydantic import JsonValue, ValidationError

from engine.config.model import ModelSettings
from engine.families.family import ModelShape
from engine.families.thor import ThorShape
from engine.foreign_model import ForeignModelError
from engine.gguf import names
from engine.gguf.architectures import table
from engine.gguf.architectures.architecture import Described
from engine.gguf.architectures.decoder import Decoder
from engine.gguf.container import GgufFile, TensorRecord
from engine.gguf.metadata import Metadata

_STRETCHED = frozenset({"rope_theta", "rope_scaling", "rope_factor", "rope_trained", "rope_short", "rope_long"})
"""What is looked at where it is written."""
_INSTEAD = "; 'thorctl export hf' writes it for transformers and vLLM"


def describe(model: ModelSettings, vocabulary: int) -> Described:
    """The description of a model.

    Raises:
        ForeignModelError: llama.cpp has no architecture that computes the same.
    """
    shape = model.shape
    arch = table.nearest(model.family, shape)
    described = arch.write(shape, vocabulary)
    if isinstance(arch, Decoder) and isinstance(shape, ThorShape):
        lacking = _lacking(arch, described, shape)
        if lacking:
            has = ", ".join(f"{key} = {value}" for key, value in lacking.items())
            raise ForeignModelError(f"llama.cpp's {arch.name} does not have {has}{_INSTEAD}")
    return described


def _lacking(arch: Decoder, described: Described, shape: ThorShape) -> dict[str, JsonValue]:
    """What a shape has, by key, that the model in a file so described has not."""
    if arch.is_square and shape.width * shape.heads != shape.hidden:
        return {"head_width": shape.width}
    plain = shape.model_dump(mode="json")
    if missing := {key: plain[key] for key in arch.needs if not plain[key]}:
        return missing
    try:
        again = _comparable(arch.read(_file(described, shape)).shape)
    except (ForeignModelError, ValidationError):
        return shape.beyond_llama
    known = _comparable(shape)
    return {key: plain[key] for key in known if known[key] != again[key]}


def _file(described: Described, shape: ThorShape) -> GgufFile:
    """A file with these keys, as far as a reader looks at it to know the shape."""
    keys = {key: value for key, value in described.keys.items() if ".rope.scaling." not in key}
    present = [names.HEAD] * (not shape.tied) + ["blk.0.attn_q.bias"] * shape.qkv_bias
    record = TensorRecord("", (), GGMLQuantizationType.F32, 0, 0)
    return GgufFile(Path(described.architecture), Metadata(Path(), keys), dict.fromkeys(present, record))


def _comparable(shape: ModelShape) -> dict[str, JsonValue]:
    """Without what is the same in other words: numbers as files have them, and a window as long as all that is read."""
    if not isinstance(shape, ThorShape):
        raise TypeError(f"the shape of a thor is expected, not a {type(shape).__name__}")
    values = shape.model_dump(mode="json", exclude=set(_STRETCHED))
    values |= {
        "head_width": shape.width,
        "partial_rotary": shape.rotary_width,
        "attention_multiplier": shape.attention_multiplier or shape.width**-0.5,
        "window": shape.window if shape.window < shape.context or shape.rope_local_theta else 0,
        "global_interval": shape.global_interval if shape.window else 0,
        "mlp": "gelu_tanh" if shape.mlp == "gelu" else shape.mlp,
    }
    return {key: float(np.float32(value)) if isinstance(value, float) else value for key, value in values.items()}

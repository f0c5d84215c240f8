"""Weights as they lie in GGUF files, and as they lie in thord's versions.

* Matrices of GPT-2 are the other way round.
* llama.cpp turns neighbouring numbers of a head for some architectures, thord and Hugging Face the two halves of it:
  the rows of queries and keys are ordered accordingly.
* Queries, keys and values of GPT-NeoX stand below each other there, and head by head here.
* Norms of Gemma multiply by their weight there, and by one plus their weight here.
"""

import re

from torch import Tensor

from engine.families.family import ModelShape
from engine.families.thor import ThorShape
from engine.gguf.architectures.architecture import Architecture

_TURNED = re.compile(r"\.self_attn\.[qk]_proj\.")


def is_transposed(name: str) -> bool:
    """Whether a weight of ours is [inputs, outputs], as in Hugging Face's GPT-2; in GGUF files it never is."""
    return name.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight"))


def stored(weight: Tensor, name: str, arch: Architecture, shape: ModelShape) -> Tensor:
    """A weight of ours, in float32, as it lies in a file."""
    weight = weight.float()
    if is_transposed(name):
        return weight.t()
    if not isinstance(shape, ThorShape):
        return weight
    if arch.turns_neighbours and _TURNED.search(name):
        return _exchanged(weight, (-1, 2, shape.width // 2))
    if shape.projections == "fused_by_head" and ".qkv_proj." in name:
        return _exchanged(weight, (1, shape.heads, 3, shape.width))
    return weight + 1.0 if _is_offset(name, shape) else weight


def taken(weight: Tensor, name: str, arch: Architecture, shape: ModelShape) -> Tensor:
    """The reverse of `stored`."""
    if is_transposed(name):
        return weight.t().contiguous()
    if not isinstance(shape, ThorShape):
        return weight
    if arch.turns_neighbours and _TURNED.search(name):
        return _exchanged(weight, (-1, shape.width // 2, 2))
    if shape.projections == "fused_by_head" and ".qkv_proj." in name:
        return _exchanged(weight, (1, 3, shape.heads, shape.width))
    return weight - 1.0 if _is_offset(name, shape) else weight


def _exchanged(rows: Tensor, parts: tuple[int, ...]) -> Tensor:
    """Rows, seen as such parts, with the second and the third of them exchanged."""
    return rows.reshape(*parts, *rows.shape[1:]).transpose(1, 2).reshape(rows.shape)


def _is_offset(name: str, shape: ThorShape) -> bool:
    return shape.norm_kind == "rms_offset" and name.endswith("norm.weight")

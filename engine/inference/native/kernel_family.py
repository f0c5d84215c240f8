"""What the kernel must know of a model family to compute it. A family's record names where that is written."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.config.inference import Quantization
from engine.families.family import Family, ModelShape, named
from engine.inference.native.packing import LANES, Packed
from engine.inference.native.program import CACHES, Program
from engine.models import registry
from engine.models.base import LanguageModel
from engine.models.quantized import rounded


class NotComputedError(Exception):
    """The kernel cannot compute a model; the message says what it lacks."""


@dataclass(frozen=True)
class KernelFamily:
    """How the kernel computes a family.

    Attributes:
        lacks: what a shape has that the kernel does not compute; nothing where it computes all.
        write: the operations from token to last hidden state, and the packed head, which makes scores of that.
        lies_across: whether the matrix of a name is stored [inputs, outputs].
        looked_up: names of matrices that no product is made with.
        adapts: whether an adapter can be added to all of its products.
    """

    lacks: Callable[[ModelShape], list[str]]
    write: Callable[[LanguageModel, Quantization], tuple[Program, Packed]]
    lies_across: Callable[[str], bool]
    looked_up: frozenset[str] = frozenset()
    adapts: bool = True


@dataclass(frozen=True)
class LayerWeights:
    """The weights of one layer by what follows their common beginning."""

    weights: Mapping[str, Tensor]
    prefix: str

    def __getitem__(self, name: str) -> Tensor:
        return self.weights[self.prefix + name]

    def maps(self, *names: str) -> dict[str, int]:
        """Linear maps of the layer, by their names in the whole model, with how many outputs each has."""
        return {self.prefix + name: len(self[f"{name}.weight"]) for name in names}


def of(family: Family) -> KernelFamily | None:
    """How the kernel computes a family; None where it cannot.

    Raises:
        TypeError: the record names something else.
    """
    return named(family.kernel, KernelFamily)


def uneven_heads(width: int) -> list[str]:
    """What is wrong with heads of a width; nothing where the kernel can compute them."""
    return [] if width % LANES == 0 else [f"heads of {width} values, which is not a multiple of {LANES}"]


def check(lacks: list[str], dtype: torch.dtype) -> None:
    """Whether the kernel computes what has nothing that it lacks, in this dtype.

    Raises:
        NotComputedError: it does not.
    """
    wrong = [*lacks, *([] if dtype in CACHES else [f"weights in {str(dtype).removeprefix('torch.')}"])]
    if wrong:
        raise NotComputedError(f"the kernel does not compute {', '.join(wrong)}")


def computes(family: Family, shape: ModelShape) -> bool:
    """Whether the kernel can compute such a model, in bf16 or float32."""
    found = of(family)
    return found is not None and not found.lacks(shape)


def round_weights(model: LanguageModel, family: KernelFamily, quantization: Quantization) -> None:
    """Replace the matrices of a module by what their quantized form stands for: it then computes as a decoder would."""
    for name, weight in registry.module(model).named_parameters():
        if weight.ndim == 2 and name not in family.looked_up:
            across = family.lies_across(name)
            rounded_NK = rounded(weight.detach().t() if across else weight.detach(), quantization)
            weight.data = (rounded_NK.t() if across else rounded_NK).to(weight.dtype)

"""What the kernel must know of a model family to compute it. A family's record names where that is written."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.config.inference import Quantization
from engine.config.model import ModelSettings
from engine.families.family import Family, ModelShape, named
from engine.families.table import FAMILIES
from engine.inference.native import packing
from engine.inference.native.packing import LANES, Packed
from engine.inference.native.program import CACHES, Program
from engine.models import registry
from engine.models.base import LanguageModel


@dataclass(frozen=True)
class KernelFamily:
    """How the kernel computes a family.

    Attributes:
        head_width: the width of a head, by the shape.
        write: the operations from token to last hidden state, and the packed head, which makes scores of that; None
            where `fits` says that the kernel cannot compute this model.
        lies_across: whether the matrix of a name is stored [inputs, outputs].
        looked_up: names of matrices that no product is made with.
        adapts: whether an adapter can be added to all of its products.
    """

    head_width: Callable[[ModelShape], int]
    write: Callable[[LanguageModel, Quantization], tuple[Program, Packed] | None]
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


def fits(head_width: int, dtype: torch.dtype) -> bool:
    """Whether the kernel can compute heads of this width in this dtype."""
    return head_width % LANES == 0 and dtype in CACHES


def computes(settings: ModelSettings) -> bool:
    """Whether the kernel can compute such a model, in bf16 or float32."""
    family = of(FAMILIES[settings.family])
    return family is not None and family.head_width(settings.shape) % LANES == 0


def round_weights(model: LanguageModel, family: KernelFamily, quantization: Quantization) -> None:
    """Replace the matrices of a module by what their quantized form stands for: it then computes as a decoder would."""
    for name, weight in registry.module(model).named_parameters():
        if weight.ndim == 2 and name not in family.looked_up:
            across = family.lies_across(name)
            rounded_NK = packing.rounded(weight.detach().t() if across else weight.detach(), quantization)
            weight.data = (rounded_NK.t() if across else rounded_NK).to(weight.dtype)

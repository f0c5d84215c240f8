"""An adapter: two thin factors for each linear map of a base, in float32. Shapes: K inputs, N outputs, R the rank.

Its files are PEFT's: ``adapter_model.safetensors`` has ``base_model.model.MAP.lora_A.weight`` [R, K] and
``….lora_B.weight`` [N, R] for each map; see `engine.adapters.config` for the other file.
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from engine.adapters import config as peft
from engine.adapters.config import AdapterConfig
from engine.artifacts import ArtifactError
from engine.models import registry
from engine.models.base import LanguageModel
from engine.models.functional import is_finite
from engine.models.linear import LinearMap

FILE = "adapter_model.safetensors"
A, B = ".lora_A.weight", ".lora_B.weight"
BASE_SHA256 = "base_sha256"
"""A key in the head of the file: the sum of the weights that the adapter was trained on."""
_PREFIX = "base_model.model."


@dataclass(frozen=True)
class Adapter:
    """The factors of each map that it changes.

    Attributes:
        factors: by name as the model that learns has them, ``MAP.lora_A.weight`` and ``MAP.lora_B.weight``.
    """

    config: AdapterConfig
    factors: Mapping[str, Tensor]

    @property
    def maps(self) -> list[str]:
        """The names of the maps that it changes, in order."""
        return sorted(name.removesuffix(A) for name in self.factors if name.endswith(A))

    def scale(self, name: str) -> float:
        """What the product of the factors of a map is multiplied by."""
        return self.config.scale(name, len(self.factors[name + A]))

    def change(self, name: str) -> Tensor:
        """What is added to the matrix [N, K] of a map, in float32."""
        return self.scale(name) * (self.factors[name + B].float() @ self.factors[name + A].float())

    def with_factors(self, factors: Mapping[str, Tensor]) -> "Adapter":
        """The same adapter after it has learned."""
        return replace(self, factors=factors)


def new(model: LanguageModel, config: AdapterConfig, seed: int) -> Adapter:
    """An adapter for every linear map of the model's blocks that changes nothing yet: B is zero.

    A is drawn as by PEFT, evenly up to 1 / sqrt(K). The model may be a skeleton.

    Raises:
        ValueError: its family has no linear maps in blocks.
    """
    maps = registry.linear_maps(model)
    if not maps:
        raise ValueError("this model family has no blocks of linear maps to adapt")
    generator = torch.Generator().manual_seed(seed)
    factors: dict[str, Tensor] = {}
    for name, linear in maps.items():
        outputs, inputs = linear.matrix.shape
        rank, bound = config.rank_of(name), 1 / math.sqrt(inputs)
        factors[name + A] = torch.empty(rank, inputs).uniform_(-bound, bound, generator=generator)
        factors[name + B] = torch.zeros(outputs, rank)
    return Adapter(config, factors)


def read(
    folder: Path, model: LanguageModel, file: str = FILE, rename: Callable[[str], str] = lambda name: name
) -> Adapter:
    """The adapter in a folder, in float32, checked against the model that it changes, which may be a skeleton.

    ``rename`` makes thord's names of those in the file.

    Raises:
        ArtifactError: a file is missing or damaged, or the adapter does not fit the model.
    """
    config = peft.read(folder)
    try:
        tensors = load_file(folder / file)
    except (OSError, SafetensorError) as error:
        raise ArtifactError(f"{folder / file}: {error}") from error
    factors = {rename(name.removeprefix(_PREFIX)): tensor.float() for name, tensor in tensors.items()}
    _check(factors, registry.linear_maps(model), folder / file)
    for name, factor in factors.items():
        if not is_finite(factor):
            raise ArtifactError(f"{folder / file}: NaN or infinity in {name.removesuffix(A).removesuffix(B)}")
    return Adapter(config, factors)


def outline(folder: Path) -> Adapter:
    """The same adapter without its numbers, on the device ``meta``, and unchecked: only the head of its file is read.

    Raises:
        ArtifactError: a file is missing or damaged.
    """
    config = peft.read(folder)
    try:
        with safe_open(folder / FILE, framework="pt") as opened:
            shapes = {name: opened.get_slice(name).get_shape() for name in opened.keys()}  # noqa: SIM118 - no mapping
    except (OSError, SafetensorError) as error:
        raise ArtifactError(f"{folder / FILE}: {error}") from error
    factors = {name.removeprefix(_PREFIX): torch.empty(shape, device="meta") for name, shape in shapes.items()}
    return Adapter(config, factors)


def write(folder: Path, adapter: Adapter, model: LanguageModel, base_sha256: str) -> None:
    """Write both files; ``base_sha256`` is the sum of the weights that it changes.

    Raises:
        OSError: the disk refused.
    """
    maps = registry.linear_maps(model)
    across = any(linear.across for linear in maps.values())
    peft.write(folder, adapter.config, _targets(adapter.maps, maps), across=across)
    write_factors(folder / FILE, adapter.factors, base_sha256)


def write_factors(file: Path, factors: Mapping[str, Tensor], base_sha256: str) -> None:
    """Write factors under the names that they have in PEFT.

    Equal factors give equal bytes: safetensors writes metadata of several keys in an order that differs from process to
    process, so its head is written anew.

    Raises:
        OSError: the disk refused.
    """
    tensors = {_PREFIX + name: tensor.detach().float().contiguous() for name, tensor in factors.items()}
    written = save(tensors, metadata={"format": "pt"})
    data_at = 8 + int.from_bytes(written[:8], "little")
    head = json.loads(written[8:data_at])
    head["__metadata__"] = {"format": "pt", BASE_SHA256: base_sha256}
    text = json.dumps(head, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    file.write_bytes(len(text).to_bytes(8, "little") + text + written[data_at:])


def _targets(adapted: Iterable[str], maps: Mapping[str, LinearMap]) -> list[str]:
    """What PEFT calls the maps: by the last part of their names where that says which, else in full."""
    adapted = set(adapted)
    last = {name.rpartition(".")[2] for name in adapted}
    return sorted(last if {name for name in maps if name.rpartition(".")[2] in last} == adapted else adapted)


def _check(factors: Mapping[str, Tensor], maps: Mapping[str, LinearMap], file: Path) -> None:
    """Whether factors come in pairs, belong to maps of the model, and have its shapes."""
    names = {name.removesuffix(A).removesuffix(B) for name in factors}
    if not names:
        raise ArtifactError(f"{file} has no tensors")
    for name in sorted(names):
        if name not in maps:
            raise ArtifactError(f"{file}: {name} is not a linear map in a block of this model")
        a_RK, b_NR = factors.get(name + A), factors.get(name + B)
        if a_RK is None or b_NR is None:
            raise ArtifactError(f"{file}: {name} needs both lora_A and lora_B")
        outputs, inputs = maps[name].matrix.shape
        if a_RK.ndim != 2 or not len(a_RK) or a_RK.shape[1] != inputs or b_NR.shape != (outputs, len(a_RK)):
            raise ArtifactError(
                f"{file}: {name} has factors {list(a_RK.shape)} and {list(b_NR.shape)}, which do not fit a map from "
                f"{inputs} to {outputs}"
            )

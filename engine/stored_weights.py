"""The weights of a version as they lie on disk: in its own file, or in its base's with its adapter merged in.

Merging is done in float32, from the base as it was imported and the whole adapter, and rounded once. What is merged is
never stored and never merged again: in bf16 small updates would be lost, one promotion after the other.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from engine.adapters import adapter as adapters
from engine.adapters.adapter import Adapter
from engine.artifacts import ArtifactError
from engine.manifest import ADAPTER, WEIGHTS, VersionManifest, weights_file
from engine.models import registry
from engine.models.base import LanguageModel
from engine.models.functional import is_finite

TRUNK = "trunk.safetensors"
"""Only with ``wsd``: the weights, or the adapter, of before the decay, from which training continues."""


class StoredWeights:
    """Tensors by name, mapped from the file, each computed when it is asked for.

    Attributes:
        adapter: what changes the base; null where the version has weights of its own.
    """

    def __init__(self, weights: Mapping[str, Tensor], adapter: Adapter | None, model: LanguageModel) -> None:
        self.adapter = adapter
        self._weights = weights
        self._across = {name for name, linear in registry.linear_maps(model).items() if linear.across}
        self._changed = {f"{name}.weight": name for name in adapter.maps} if adapter else {}

    @property
    def base(self) -> Mapping[str, Tensor]:
        """The weights in the file, without the adapter."""
        return self._weights

    @property
    def names(self) -> list[str]:
        """Of all weights."""
        return list(self._weights)

    @property
    def dtype(self) -> torch.dtype:
        """In which the matrices, or those of the base, are stored."""
        return self._weights[min(self._weights)].dtype

    def get(self, name: str, dtype: torch.dtype | None = None) -> Tensor:
        """A weight in a dtype, by default that in which it, or its base, is stored."""
        weight = self._weights[name]
        if self.adapter is None or name not in self._changed:
            return weight if dtype is None else weight.to(dtype)
        change_NK = self.adapter.change(self._changed[name])
        change = change_NK.t() if self._changed[name] in self._across else change_NK
        return (weight.float() + change).to(dtype or weight.dtype)

    def raw(self) -> Iterator[tuple[str, Tensor]]:
        """Every tensor that is stored, factors of an adapter too."""
        yield from self._weights.items()
        if self.adapter is not None:
            yield from self.adapter.factors.items()


class OneByOne(Mapping[str, Tensor]):
    """The tensors of a file, each mapped anew when it is asked for: what was read of it goes when it does.

    Raises:
        OSError, SafetensorError: the file is missing or damaged.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        with safe_open(file, framework="pt") as opened:
            self._names = list(opened.keys())

    def __getitem__(self, name: str) -> Tensor:
        with safe_open(self._file, framework="pt") as opened:
            tensor: Tensor = opened.get_tensor(name)
        return tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def read(folder: Path, manifest: VersionManifest, model: LanguageModel, *, trunk: bool = False) -> StoredWeights:
    """The weights of a version for a model of its shape, which may be a skeleton; sums are not checked.

    With ``trunk`` those of before its decay, if it has them.

    Raises:
        ArtifactError: a file is missing or damaged, or does not fit the model, or the base is another one.
    """
    expected = registry.module(model).state_dict()
    takes_trunk = trunk and (folder / TRUNK).exists()
    if manifest.base is None:
        return StoredWeights(read_tensors(folder / (TRUNK if takes_trunk else WEIGHTS), expected), None, model)
    found = read_tensors(weights_file(folder, manifest), expected)
    return StoredWeights(found, adapters.read(folder, model, TRUNK if takes_trunk else ADAPTER), model)


def read_tensors(file: Path, expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors mapped from ``file``, as many and of the shapes expected.

    Raises:
        ArtifactError: the file is missing or damaged, or has others.
    """
    try:
        weights = load_file(file)
    except (OSError, SafetensorError) as error:
        raise ArtifactError(f"{file}: {error}") from error
    check_weights(weights, expected, str(file))
    return weights


def check_weights(weights: Mapping[str, Tensor], expected: Mapping[str, Tensor], place: str) -> None:
    """Check that tensors have the names and shapes expected; errors name ``place`` as their origin.

    Raises:
        ArtifactError: they are not.
    """
    missing, surplus = sorted(expected.keys() - weights.keys()), sorted(weights.keys() - expected.keys())
    if missing or surplus:
        raise ArtifactError(f"{place}: tensors missing: {missing[:3]}, not expected: {surplus[:3]}")
    for name, weight in weights.items():
        if weight.shape != expected[name].shape:
            raise ArtifactError(
                f"{place}: {name} is {list(weight.shape)}, the model needs {list(expected[name].shape)}"
            )
        if not weight.is_floating_point():
            raise ArtifactError(f"{place}: {name} is of {weight.dtype}, which is not a floating point type")


def check_numbers(weights: Iterable[tuple[str, Tensor]], file: Path) -> None:
    """Check that every weight is a finite number; errors name ``file`` as their origin.

    Raises:
        ArtifactError: one is NaN or infinite.
    """
    broken = [name for name, weight in weights if not is_finite(weight)]
    if broken:
        raise ArtifactError(f"{file}: NaN or infinity in {', '.join(broken[:3])}")

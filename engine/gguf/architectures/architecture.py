"""What an architecture of llama.cpp is to thord."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from engine.config.model import ModelSettings
from engine.families.family import ModelShape
from engine.gguf.container import GgufFile


@dataclass(frozen=True, slots=True)
class Described:
    """What a file says of a model.

    Attributes:
        keys: as they are written, with the architecture before them.
        tensors: those that say how positions turn, by name.
    """

    architecture: str
    keys: Mapping[str, int | float | str]
    tensors: Mapping[str, tuple[float, ...]] = field(default_factory=dict)


class Architecture(Protocol):
    """One value of ``general.architecture``.

    Attributes:
        keys: the keys that it reads, without the architecture before them.
        turns_neighbours: whether neighbouring numbers of a head turn together; else the two halves of it do.
    """

    @property
    def name(self) -> str:
        """What files call it."""
        ...

    @property
    def keys(self) -> Collection[str]:
        """The keys that it reads, without the architecture before them."""
        ...

    @property
    def turns_neighbours(self) -> bool:
        """Whether neighbouring numbers of a head turn together; else the two halves of it do."""
        ...

    def read(self, file: GgufFile) -> ModelSettings:
        """The settings that make the model in a file.

        Raises:
            ForeignModelError: it has what thord has not, or something is missing.
            ValidationError: sizes do not go together.
        """
        ...

    def write(self, shape: ModelShape, vocabulary: int) -> Described:
        """What a file says of such a model; the model that it describes may be another one.

        Raises:
            ForeignModelError: llama.cpp has no such positions.
        """
        ...

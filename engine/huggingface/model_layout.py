"""How models are described in Hugging Face's files. The record of a family names where its layouts are written."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from engine.config.model import ModelSettings
from engine.families.family import Family, ModelShape, named
from engine.foreign_model import ForeignModelError


def _without_biases(described: Mapping[str, JsonValue], shape: ModelShape) -> dict[str, int]:
    del described, shape
    return {}


@dataclass(frozen=True)
class ModelLayout:
    """How models of some types are described.

    Attributes:
        model_types: values of ``model_type`` that describe models of the family.
        read: the settings of a model from the text of its file, which errors name.
        write: the keys that describe a shape, where the tokenizer is of a kind; null where the layout lacks something.
        zero_biases: names and lengths of biases that a written layout needs, and the model has not: zeros.
        names: parts of names of tensors, as thord has them and as the layout has them; none where all are the same.
    """

    model_types: tuple[str, ...]
    read: Callable[[bytes, Path], ModelSettings]
    write: Callable[[ModelShape, str], dict[str, JsonValue] | None]
    zero_biases: Callable[[Mapping[str, JsonValue], ModelShape], dict[str, int]] = _without_biases
    names: tuple[tuple[str, str], ...] = ()

    def theirs(self, name: str) -> str:
        """What a tensor is called in the layout."""
        for ours, theirs in self.names:
            name = name.replace(ours, theirs)
        return name

    def ours(self, name: str) -> str:
        """What a tensor of the layout is called in thord."""
        for ours, theirs in self.names:
            name = name.replace(theirs, ours)
        return name


def of(family: Family) -> list[ModelLayout]:
    """The layouts of a family; none where it has only thord's own.

    Raises:
        TypeError: the record names something else.
    """
    return [layout for place in family.layouts if (layout := named(place, ModelLayout))]


def refuse(file: Path, wrong: bool, what: str) -> None:
    """Name what a model has and thord's families do not have.

    Raises:
        ForeignModelError: it has.
    """
    if wrong:
        raise ForeignModelError(f"{file}: {what} is something that thord's families do not have")

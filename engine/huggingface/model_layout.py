"""How a family's models are described in ``config.json`` of Hugging Face. Its record names where that is written."""

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
    """The layouts of one family.

    Attributes:
        model_types: values of ``model_type`` that describe models of the family.
        read: the settings of a model from the text of its file, which errors name.
        write: the keys that describe a shape, where the tokenizer is of a kind.
        zero_biases: names and lengths of biases that a written layout needs, and the model has not: zeros.
    """

    model_types: tuple[str, ...]
    read: Callable[[bytes, Path], ModelSettings]
    write: Callable[[ModelShape, str], dict[str, JsonValue]]
    zero_biases: Callable[[Mapping[str, JsonValue], ModelShape], dict[str, int]] = _without_biases


def of(family: Family) -> ModelLayout | None:
    """The layouts of a family; None where it has none beside thord's own.

    Raises:
        TypeError: the record names something else.
    """
    return named(family.layout, ModelLayout)


def refuse(file: Path, wrong: bool, what: str) -> None:
    """Name what a model has and thord's families do not have.

    Raises:
        ForeignModelError: it has.
    """
    if wrong:
        raise ForeignModelError(f"{file}: {what} is something that thord's families do not have")

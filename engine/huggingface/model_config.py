"""``config.json`` of Hugging Face, to and from thord's settings of a model, by `engine.huggingface.layouts`.

What such a model may have and thord has not, is refused by name: nothing is computed otherwise than it was meant.
"""

import itertools
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from engine.config.model import ModelSettings
from engine.families.table import FAMILIES
from engine.foreign_model import ForeignModelError
from engine.huggingface import model_layout
from engine.huggingface.model_layout import ModelLayout
from engine.model_files import CONFIG, MODEL_TYPES
from engine.section import Vocabulary

OWN_KEY = "thord"
"""Under it an exported ``config.json`` keeps the settings in thord's own words."""


class OwnConfig(BaseModel):
    """What thord keeps under `OWN_KEY`."""

    model_config = ConfigDict(extra="forbid")

    model: ModelSettings
    tokenizer: str


class AnyConfig(BaseModel):
    """What every ``config.json`` may say."""

    model_config = ConfigDict(extra="ignore")

    model_type: str
    vocab_size: Vocabulary
    bos_token_id: int | None = None
    eos_token_id: int | list[int] | None = None
    quantization_config: dict[str, JsonValue] | None = None
    thord: OwnConfig | None = None


@dataclass(frozen=True)
class Described:
    """What a folder says of its model.

    Attributes:
        settings: what makes the model.
        config: what every ``config.json`` says.
        layout: how its tensors are named; null for families that have only thord's own.
    """

    settings: ModelSettings
    config: AnyConfig
    layout: ModelLayout | None


def read(folder: Path) -> Described:
    """What describes the model in ``folder``.

    Raises:
        ForeignModelError: there is no such file, or it describes what thord cannot compute.
    """
    file = folder / CONFIG
    try:
        text = file.read_bytes()
        general = AnyConfig.model_validate_json(text)
        if general.quantization_config is not None:
            raise ForeignModelError(
                f"{file}: its weights are quantized, and thord learns from whole ones: take the model it was made from"
            )
        for layout in itertools.chain.from_iterable(map(model_layout.of, FAMILIES.values())):
            if general.model_type in layout.model_types:
                return Described(layout.read(text, file), general, layout)
    except OSError as error:
        raise ForeignModelError(f"{file}: {error.strerror}") from error
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise ForeignModelError(f"{file}: {faults}") from error
    if general.thord is not None:
        return Described(general.thord.model, general, None)
    raise ForeignModelError(
        f"{file}: model_type '{general.model_type}' is not known; known are {', '.join(MODEL_TYPES)}"
    )


def write(model: ModelSettings, vocabulary: int, tokenizer: str) -> tuple[dict[str, JsonValue], ModelLayout | None]:
    """``config.json`` of a model, but for the ids of special tokens; and its layout, as in `Described`.

    Raises:
        ForeignModelError: no known layout has everything that this model has.
    """
    own: dict[str, JsonValue] = {
        OWN_KEY: OwnConfig(model=model.resolved, tokenizer=tokenizer).model_dump(mode="json"),
        "vocab_size": vocabulary,
    }
    if (found := _written(model, tokenizer)) is not None:
        described, layout = found
        return {**described, **own}, layout
    if FAMILIES[model.family].layouts:
        raise ForeignModelError(f"no known layout has everything that this model has: {_beyond_the_usual(model)}")
    return {"model_type": f"thord-{model.family}", "max_position_embeddings": model.shape.context, **own}, None


def layout_of(model: ModelSettings, tokenizer: str) -> ModelLayout | None:
    """The layout in which a model goes out; null where no known one has everything that it has."""
    found = _written(model, tokenizer)
    return None if found is None else found[1]


def _written(model: ModelSettings, tokenizer: str) -> tuple[dict[str, JsonValue], ModelLayout] | None:
    for layout in model_layout.of(FAMILIES[model.family]):
        if (described := layout.write(model.shape, tokenizer)) is not None:
            return described, layout
    return None


def _beyond_the_usual(model: ModelSettings) -> str:
    """What of a shape is not as its family has it unless set."""
    fields = type(model.shape).model_fields
    values = model.shape.model_dump(mode="json").items()
    return ", ".join(
        f"{key} = {value}" for key, value in values if not fields[key].is_required() and value != fields[key].default
    )

"""``config.json`` of Hugging Face, to and from thord's settings of a model.

    llama, mistral, qwen2, qwen3   thor: a window, biases on queries, keys and values, or norms on queries and keys
    gpt2                           gpt2

What such a model may have and thord has not, is refused by name: nothing is computed otherwise than it was meant.
"""

from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from engine.config.model import ModelSettings
from engine.families.table import FAMILIES
from engine.foreign_model import ForeignModelError
from engine.huggingface import model_layout
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


def read(folder: Path) -> tuple[ModelSettings, AnyConfig]:
    """The settings that make the model in ``folder``.

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
        for layout in map(model_layout.of, FAMILIES.values()):
            if layout is not None and general.model_type in layout.model_types:
                return layout.read(text, file), general
    except OSError as error:
        raise ForeignModelError(f"{file}: {error.strerror}") from error
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise ForeignModelError(f"{file}: {faults}") from error
    if general.thord is not None:
        return general.thord.model, general
    raise ForeignModelError(
        f"{file}: model_type '{general.model_type}' is not known; known are {', '.join(MODEL_TYPES)}"
    )


def write(model: ModelSettings, vocabulary: int, tokenizer: str) -> dict[str, JsonValue]:
    """``config.json`` of a model, but for the ids of special tokens.

    Raises:
        ForeignModelError: no known layout has everything that this model has.
    """
    own: dict[str, JsonValue] = {
        OWN_KEY: OwnConfig(model=model.resolved, tokenizer=tokenizer).model_dump(mode="json"),
        "vocab_size": vocabulary,
    }
    layout = model_layout.of(FAMILIES[model.family])
    if layout is None:
        return {"model_type": f"thord-{model.family}", "max_position_embeddings": model.shape.context, **own}
    return {**layout.write(model.shape, tokenizer), **own}


def zero_biases(described: Mapping[str, JsonValue], model: ModelSettings) -> dict[str, int]:
    """Names and lengths of biases that the layout in ``described`` needs, and the model has not: zeros."""
    layout = model_layout.of(FAMILIES[model.family])
    return {} if layout is None else layout.zero_biases(described, model.shape)

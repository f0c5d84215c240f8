"""How a model is meant to be sampled from: ``generation_config.json`` of Hugging Face, kept with a version as it came.

A version has the file where its model brought one, and hands it on to what is learned from it and to exports. Torch is
not needed.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, JsonValue, RootModel, ValidationError

from engine import artifacts

FILE = "generation_config.json"
_Ids = int | list[int] | None


class Generation(BaseModel):
    """The keys that thord reads. Null: the model does not set it."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)

    do_sample: bool | None = None
    temperature: Annotated[float, Field(ge=0, le=100)] | None = None
    top_k: Annotated[int, Field(ge=-1, le=1 << 31)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    repetition_penalty: Annotated[float, Field(gt=0, le=100)] | None = None
    bos_token_id: int | None = None
    eos_token_id: _Ids = None

    @property
    def is_greedy(self) -> bool:
        """Whether the most probable token is taken unless a request says otherwise."""
        return self.do_sample is False or 0 in (self.temperature, self.top_p)

    @property
    def ends(self) -> tuple[int, ...]:
        """Ids that end an answer."""
        return ids(self.eos_token_id)


UNSAID = Generation()
_Raw = RootModel[dict[str, JsonValue]]


class BadGenerationError(ValueError):
    """A ``generation_config.json`` with impossible values; the message names the keys."""


def parsed(raw: Mapping[str, JsonValue]) -> Generation:
    """What a ``generation_config.json`` says.

    Raises:
        BadGenerationError: a value is of the wrong type, or out of its range.
    """
    try:
        return Generation.model_validate(raw)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise BadGenerationError(f"{FILE}: {faults}") from error


def read(folder: Path) -> dict[str, JsonValue]:
    """The ``generation_config.json`` of a version's folder; empty if the model came without one.

    Raises:
        ArtifactError: the file is damaged.
    """
    file = folder / FILE
    return artifacts.read_json(file, _Raw).root if file.exists() else {}


def ids(given: _Ids) -> tuple[int, ...]:
    """One id or several, as files have them, without repetitions."""
    found = [] if given is None else [given] if isinstance(given, int) else given
    return tuple(dict.fromkeys(found))

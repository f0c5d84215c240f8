"""What each kind of job takes as its ``request``. The server checks those of its own kinds itself."""

from collections.abc import Mapping
from typing import Annotated, Literal, TypeVar

from pydantic import Field, JsonValue, ValidationError, field_validator

from daemon.job import JobKind
from daemon.messages import Layout
from daemon.settings import faults
from daemon.settings.sections import Tables
from daemon.supervisor.store.records import Record
from engine.config import renamed
from engine.config.model import ModelSettings
from engine.config.tokenizer import TokenizerKind
from engine.config.training import TrainingSettings

RUN_ID = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"
"""What a name of a run or a tokenizer looks like: it becomes the name of a folder."""
_R = TypeVar("_R", bound=Record)
_VersionNumber = Annotated[int, Field(gt=0, lt=10**18)]
"""SQLite has no number of 20 digits."""


class BadJobRequestError(Exception):
    """The request does not fit the kind of job; the message says where."""


class TrainRequest(Record):
    """A run: from nothing, or from the version ``base``.

    Attributes:
        train_files: files and folders of conversations to learn from, as absolute paths.
        corpus: the same, of plain text.
        validation_files: what to judge on, in place of a share of the others.
        split: judge on a part of each file (see `Collect`).
        held_out_share: how much to judge on, in place of ``data.held_out_share``.
        overrides, model: keys of ``[training]`` and ``[model]`` that differ from the settings.
        tokenizer_id: a tokenizer that a job made; null: one is trained, or the base has one.
        labels: kept and given back, and read by nobody.
    """

    train_files: tuple[str, ...] = ()
    corpus: tuple[str, ...] = ()
    validation_files: tuple[str, ...] = ()
    split: bool = False
    held_out_share: float | None = Field(None, ge=0, lt=1)
    base: _VersionNumber | None = None
    overrides: dict[str, JsonValue] = Field(default_factory=dict)
    model: dict[str, JsonValue] | None = None
    tokenizer_id: str | None = Field(None, pattern=RUN_ID)
    labels: dict[str, JsonValue] = Field(default_factory=dict)

    @field_validator("overrides")
    @classmethod
    def _under_new_names(cls, value: dict[str, JsonValue]) -> dict[str, JsonValue]:
        return renamed.with_new_names("training", value)

    @property
    def files(self) -> tuple[str, ...]:
        """Everything to learn from."""
        return (*self.train_files, *self.corpus)


class EvaluateRequest(Record):
    """Measure a version on files, on what its run kept back, or else as the gate does.

    Attributes:
        version: which one; null: that of the run which the job names.
        split: what its run validated with, or measured its end on; where there are no files.
    """

    version: _VersionNumber | None = None
    files: tuple[str, ...] = ()
    split: Literal["validation", "test"] | None = None
    labels: dict[str, JsonValue] = Field(default_factory=dict)


class TokenizerRequest(Record):
    """Train a tokenizer on files; what is left out is as ``[tokenizer]`` says."""

    tokenizer_id: str | None = None
    files: tuple[str, ...] = Field(min_length=1)
    kind: TokenizerKind | None = None
    vocabulary: int | None = Field(None, ge=400, le=262_144)
    sample_lines: int | None = Field(None, gt=0)
    labels: dict[str, JsonValue] = Field(default_factory=dict)

    def settings(self) -> dict[str, JsonValue]:
        """Keys of ``[tokenizer]`` that differ."""
        return self.model_dump(mode="json", include={"kind", "vocabulary", "sample_lines"}, exclude_none=True)


class ImportRequest(Record):
    """Take over a model from elsewhere; as for ``POST /v1/imports``."""

    folder: str
    layout: Layout = "hf"
    generation: dict[str, JsonValue] = Field(default_factory=dict)
    labels: dict[str, JsonValue] = Field(default_factory=dict)


def parsed(shape: type[_R], request: Mapping[str, JsonValue]) -> _R:
    """The request as its kind has it.

    Raises:
        BadJobRequestError: it does not fit.
    """
    try:
        return shape.model_validate(request)
    except ValidationError as error:
        found = "; ".join(f"request.{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()[:5])
        raise BadJobRequestError(found) from None


def check(kind: JobKind, request: Mapping[str, JsonValue], tables: Tables) -> tuple[str, ...]:
    """Check a request before it is queued; the files it names.

    Raises:
        BadJobRequestError: it does not fit its kind, or the settings.
    """
    match kind:
        case JobKind.TRAIN:
            asked = parsed(TrainRequest, request)
            if not asked.files:
                raise BadJobRequestError("request: name files to learn from, in train_files or corpus")
            _check_settings(asked, tables)
            return (*asked.files, *asked.validation_files)
        case JobKind.EVALUATE:
            return parsed(EvaluateRequest, request).files
        case JobKind.TOKENIZER:
            return parsed(TokenizerRequest, request).files
        case JobKind.IMPORT:
            return (parsed(ImportRequest, request).folder,)
    return ()


def _check_settings(asked: TrainRequest, tables: Tables) -> None:
    try:
        TrainingSettings.model_validate(tables.training.model_dump() | asked.overrides)
    except ValidationError as error:
        raise BadJobRequestError(faults.of_training(error)) from None
    try:
        ModelSettings.model_validate(tables.model.model_dump() | (asked.model or {}))
    except ValidationError as error:
        raise BadJobRequestError(faults.of_model(error)) from None

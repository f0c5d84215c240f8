"""Reads files of predictions and of references.

| file     | holds                                                                                              |
| -------- | -------------------------------------------------------------------------------------------------- |
| `.jsonl` | a record a line: a text, a list of texts, or an object with `text`, `texts`, `label`, `spans`, `tags` |
| `.json`  | a list of records, an object from ids to records, or SQuAD's data                                  |
| others   | a text or a label a line                                                                           |
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engine.evaluation.predictions.pairs import TypedSpan
from engine.evaluation.predictions.spans import spans_of


class BadRecordsError(Exception):
    """Files that cannot be compared; the message says which, where and why."""


@dataclass(frozen=True)
class PredictionRecord:
    """What one prediction or reference is. Null: it is not of that sort."""

    where: str
    texts: tuple[str, ...] | None = None
    label: str | None = None
    probability: float | None = None
    spans: tuple[TypedSpan, ...] | None = None


class _WrittenSpan(BaseModel):
    model_config = ConfigDict(strict=True)

    start: int = Field(ge=0)
    end: int
    label: str


class _WrittenRecord(BaseModel):
    model_config = ConfigDict(strict=True)

    id: str | int | None = None
    text: str | None = None
    texts: list[str] | None = None
    label: str | int | None = None
    probability: float | None = Field(None, ge=0, le=1)
    spans: list[_WrittenSpan] | None = None
    tags: list[str] | None = None


class _SquadAnswer(BaseModel):
    text: str


class _SquadQuestion(BaseModel):
    id: str
    answers: list[_SquadAnswer]


class _SquadParagraph(BaseModel):
    qas: list[_SquadQuestion]


class _SquadArticle(BaseModel):
    paragraphs: list[_SquadParagraph]


class _Squad(BaseModel):
    data: list[_SquadArticle]


def read(file: Path) -> dict[str, PredictionRecord]:
    """The records of a file by their id; those without one by their number, as in ``#1``.

    Raises:
        BadRecordsError: it, or a record in it, cannot be read.
        OSError: it cannot be opened.
    """
    try:
        text = file.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadRecordsError(f"{file}: byte {error.start} is not UTF-8") from error
    found: dict[str, PredictionRecord] = {}
    for identity, record in _records(file, text):
        if identity in found:
            raise BadRecordsError(f"{record.where}: id '{identity}' was given before, at {found[identity].where}")
        found[identity] = record
    if not found:
        raise BadRecordsError(f"{file} has no records")
    return found


def _records(file: Path, text: str) -> Iterator[tuple[str, PredictionRecord]]:
    if file.suffix == ".json":
        yield from _whole(file, text)
        return
    for number, line in enumerate(text.removesuffix("\n").split("\n") if text else (), 1):
        where = f"{file}, line {number}"
        if file.suffix != ".jsonl":
            plain = line.removesuffix("\r")
            yield f"#{number}", PredictionRecord(where, texts=(plain,), label=plain)
        elif line.strip():
            yield _record(_parsed(where, line), f"#{number}", where)


def _whole(file: Path, text: str) -> Iterator[tuple[str, PredictionRecord]]:
    value = _parsed(str(file), text)
    if isinstance(value, list):
        for number, written in enumerate(value, 1):
            yield _record(written, f"#{number}", f"{file}, record {number}")
    elif isinstance(value, dict) and isinstance(value.get("data"), list):
        yield from _squad(file, value)
    elif isinstance(value, dict):
        for identity, written in value.items():
            yield identity, _record(written, identity, f"{file}, '{identity}'")[1]
    else:
        raise BadRecordsError(f"{file} is neither a list of records nor an object from ids to records")


def _squad(file: Path, value: object) -> Iterator[tuple[str, PredictionRecord]]:
    try:
        squad = _Squad.model_validate(value)
    except ValidationError as error:
        raise BadRecordsError(f"{file}: {_first(error)}, so it is not SQuAD's data") from error
    for question in (one for article in squad.data for paragraph in article.paragraphs for one in paragraph.qas):
        texts = tuple(answer.text for answer in question.answers)
        yield question.id, PredictionRecord(f"{file}, question {question.id}", texts=texts)


def _record(value: object, identity: str, where: str) -> tuple[str, PredictionRecord]:
    if isinstance(value, str):
        return identity, PredictionRecord(where, texts=(value,), label=value)
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return identity, PredictionRecord(where, texts=tuple(value))
    try:
        written = _WrittenRecord.model_validate(value)
    except ValidationError as error:
        raise BadRecordsError(f"{where}: {_first(error)}") from error
    texts = written.texts if written.texts is not None else None if written.text is None else [written.text]
    spans = None if written.spans is None else [TypedSpan(one.start, one.end, one.label) for one in written.spans]
    if spans is None and written.tags is not None:
        spans = list(spans_of(written.tags))
    if texts is None and written.label is None and spans is None:
        raise BadRecordsError(f"{where}: has none of text, texts, label, spans and tags")
    return identity if written.id is None else str(written.id), PredictionRecord(
        where,
        texts=None if texts is None else tuple(texts),
        label=None if written.label is None else str(written.label),
        probability=written.probability,
        spans=None if spans is None else tuple(spans),
    )


def _parsed(where: str, text: str) -> object:
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadRecordsError(f"{where} is not JSON: {error}") from error
    return value


def _first(error: ValidationError) -> str:
    """The first thing that is wrong, and where in the record."""
    first = error.errors()[0]
    place = ".".join(map(str, first["loc"]))
    return f"{place}: {first['msg']}" if place else first["msg"]

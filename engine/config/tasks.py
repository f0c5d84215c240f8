"""``[tasks.NAME]``: a task of the user's own, or changes to one that is ready-made."""

import re
from collections.abc import Mapping
from typing import TypeVar

from pydantic import Field, field_validator, model_validator

from engine.data.tasks.ready_made import READY_MADE
from engine.data.tasks.task import FIELDS, PromptStyle, Task, TaskColumn, TaskKind, unknown_fields
from engine.section import Section

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_MOST_LABELS = 1000
T = TypeVar("T")


class TaskColumns(Section):
    """``[tasks.NAME.columns]``: the columns of files, by name, or by number from 1 in tables without a header."""

    text: str | None = Field(None, examples=["sentence"], description="Column with the text.")
    text_pair: str | None = Field(None, examples=["context"], description="Column with the second text.")
    label: str | None = Field(None, examples=["mood"], description="Column with the label, or the answer.")
    spans: str | None = Field(None, examples=["entities"], description="Column with the spans, or the tags.")

    @property
    def named(self) -> dict[TaskColumn, str]:
        """Those that are named."""
        columns: dict[TaskColumn, str | None] = {
            "text": self.text,
            "text_pair": self.text_pair,
            "label": self.label,
            "spans": self.spans,
        }
        return {part: name for part, name in columns.items() if name is not None}


class TaskSettings(Section):
    """``[tasks.NAME]``: a task, which `thorctl predict` and `/predict` answer. Unset: as in the ready-made task."""

    kind: TaskKind | None = Field(
        None,
        examples=["classify"],
        description="Kind of answer: a text, one of the labels, one span of the text, labelled spans, or the order of "
        "candidates.",
    )
    labels: tuple[str, ...] | None = Field(
        None, examples=[["spam", "ham"]], description="Labels to choose among, for classify and tag."
    )
    template: str | None = Field(
        None,
        examples=["{text}\n\nIs this spam? {labels}"],
        description="Question put to the model, with {text}, {text_pair} and {labels}.",
    )
    style: PromptStyle | None = Field(
        None,
        examples=["chat"],
        description="Whether the question is a turn of a chat, or a text that the model continues.",
    )
    label_values: dict[str, str] | None = Field(
        None,
        examples=[{"0": "ham", "1": "spam"}],
        description="Words that stand for labels in files. Unset: a label itself, or its number from 0.",
    )
    pattern: str | None = Field(
        None,
        examples=[r"(?P<label>\S+) (?P<text>.*)"],
        description="Regular expression for files with a row a line, with the groups text and label.",
    )
    measures: tuple[str, ...] | None = Field(
        None,
        examples=[["accuracy"]],
        description="Measures on the held-out rows of the task, by the names of `thorctl metrics`.",
    )
    prior_correction: bool | None = Field(
        None,
        examples=[True],
        description="Divide the probability of each label by the one that it has without a text: better for a model "
        "that never learned the task.",
    )
    columns: TaskColumns = TaskColumns()

    @field_validator("template")
    @classmethod
    def _template_is_possible(cls, value: str | None) -> str | None:
        if value is not None and (unknown := unknown_fields(value)):
            raise ValueError(f"{{{unknown[0]}}} is unknown; known are {', '.join(f'{{{name}}}' for name in FIELDS)}")
        if value is not None and "{text}" not in value:
            raise ValueError("{text} is missing: the question would not depend on the text")
        return value

    @field_validator("labels")
    @classmethod
    def _labels_differ(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        labels = value or ()
        if any(label != label.strip() or not label or "\n" in label for label in labels):
            raise ValueError("a label is empty, has blank ends or a line break")
        if len(set(labels)) < len(labels):
            raise ValueError("a label occurs twice")
        if len(labels) > _MOST_LABELS:
            raise ValueError(f"{len(labels)} labels; at most {_MOST_LABELS} are allowed")
        return value

    @field_validator("pattern")
    @classmethod
    def _pattern_is_possible(cls, value: str | None) -> str | None:
        if value is None:
            return value
        try:
            groups = re.compile(value).groupindex
        except re.error as error:
            raise ValueError(f"not a valid regular expression: {error}") from None
        if not {"text", "label"} <= groups.keys():
            raise ValueError("the groups (?P<text>...) and (?P<label>...) are needed")
        return value

    @model_validator(mode="after")
    def _values_are_labels(self) -> "TaskSettings":
        unknown = set((self.label_values or {}).values()).difference(self.labels or ()) if self.labels else set()
        if unknown:
            raise ValueError(f"label_values: {sorted(unknown)[0]!r} is not in labels")
        return self


def tasks_of(settings: Mapping[str, TaskSettings]) -> dict[str, Task]:
    """Every task: those that are ready-made, as the settings change them, and those of the settings.

    Raises:
        ValueError: a task has no kind, or lacks what its kind needs.
    """
    return READY_MADE | {name: _resolved(name, given) for name, given in settings.items()}


def what_changes(before: Mapping[str, Task], after: Mapping[str, Task]) -> tuple[str, ...]:
    """What a change of the settings means for each task, in words. Weights stay as they are in any case."""
    told = []
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if old is None:
            told.append(f"task '{name}' is new: its rows are learned from now on, and some are held out to measure it")
        elif new is None:
            told.append(f"task '{name}' is gone: its rows are neither learned nor measured any more; the weights stay")
        else:
            told += _labels_changed(name, old.labels, new.labels)
            if old.template != new.template or old.style != new.style:
                told.append(f"task '{name}' is asked otherwise: the model has to learn the new question")
    return tuple(told)


def _labels_changed(name: str, old: tuple[str, ...], new: tuple[str, ...]) -> list[str]:
    told = []
    if gone := [label for label in old if label not in new]:
        rows = "rows with it are neither learned nor measured any more; the weights stay"
        told.append(f"task '{name}': {', '.join(gone)} is no label any more: {rows}")
    if added := [label for label in new if label not in old]:
        told.append(f"task '{name}': {', '.join(added)} can be answered at once, and is learned from the next rows")
    return told


def _resolved(name: str, given: TaskSettings) -> Task:
    if not _NAME.fullmatch(name):
        raise ValueError(f"tasks.{name}: the name of a task has letters, digits, '_', '-' and '.'")
    start = READY_MADE.get(name)
    kind = given.kind or (None if start is None else start.kind)
    if kind is None:
        raise ValueError(f"tasks.{name}: kind is missing: generate, classify, extract, tag or rank")
    if start is None or start.kind != kind:
        start = Task(name, kind)
    labels = _or(given.labels, start.labels)
    kept = {word: label for word, label in start.label_values.items() if label in labels}
    task = Task(
        name=name,
        kind=kind,
        labels=labels,
        template=_or(given.template, start.template),
        style=_or(given.style, start.style),
        columns=given.columns.named,
        label_values=_or(given.label_values, kept),
        is_numbered=start.is_numbered or given.labels is not None,
        pattern=_or(given.pattern, start.pattern),
        measures=_or(given.measures, start.measures),
        prior_correction=_or(given.prior_correction, start.prior_correction),
    )
    if kind == "tag" and not labels:
        raise ValueError(f"tasks.{name}: a task of kind tag needs labels")
    if kind not in ("classify", "tag") and labels:
        raise ValueError(f"tasks.{name}: a task of kind {kind} has no labels")
    return task


def _or(given: T | None, otherwise: T) -> T:
    return otherwise if given is None else given

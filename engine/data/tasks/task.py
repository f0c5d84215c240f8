"""What a task is: a question about a text, and the kind of answer it has.

| kind     | the answer                                        | how it is given                                     |
| -------- | ------------------------------------------------- | --------------------------------------------------- |
| generate | a text                                            | generated                                           |
| classify | one of the labels                                 | the likelihood of every label                       |
| rank     | the candidates of the question, in order          | the likelihood of every candidate                   |
| extract  | one span of the text, or none                     | generated within a grammar of the text's own words  |
| tag      | any number of spans, each with one of the labels  | the same, a line for each                           |
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

TaskKind = Literal["generate", "classify", "extract", "tag", "rank"]
TASK_KINDS: tuple[TaskKind, ...] = get_args(TaskKind)
PromptStyle = Literal["chat", "text"]
"""A question to a chat model, or a text that the model continues."""
TaskColumn = Literal["text", "text_pair", "label", "spans"]
FIELDS = ("text", "text_pair", "labels")
"""What a template may name."""
_FIELD = re.compile(r"\{(\w*)\}")
_LINES = "one a line as LABEL: WORDS, in their order, or '{none}'"

NOTHING = "none"
"""The answer where nothing in the text is meant. It is no part of any text's grammar, so it cannot be mistaken."""

DEFAULT_TEMPLATES: dict[TaskKind, str] = {
    "generate": "{text}",
    "classify": "{text}\n\nWhich label fits: {labels}?",
    "rank": "{text}",
    "extract": "{text_pair}\n\n{text}\nAnswer with words of the text, or '" + NOTHING + "'.",
    "tag": "{text}\n\nName every {labels} in this text, " + _LINES.format(none=NOTHING) + ".",
}
"""The question where a task has no template of its own."""

DEFAULT_MEASURES: dict[TaskKind, tuple[str, ...]] = {
    "generate": ("chrf", "rougeL"),
    "classify": ("accuracy", "f1_macro", "calibration_error"),
    "rank": ("accuracy",),
    "extract": ("squad2_exact_match", "squad2_f1"),
    "tag": ("span_f1",),
}
"""What a task is measured by where it does not say; of those that `thorctl metrics` knows."""

COLUMNS: dict[TaskColumn, tuple[str, ...]] = {
    "text": ("text", "sentence", "question", "premise", "input", "utterance", "query", "source", "document", "review"),
    "text_pair": ("text_pair", "context", "hypothesis", "sentence2", "passage"),
    "label": (
        *("label", "labels", "sentiment", "intent", "category", "class", "answer", "answers", "target", "summary"),
        *("output", "completion", "translation", "paraphrase"),
    ),
    "spans": ("spans", "entities", "ner_tags", "tags", "ner"),
}
"""Columns of files that are read where a task does not name its own; the first that a row has."""


@dataclass(frozen=True, slots=True)
class Task:
    """One task, with everything resolved.

    Attributes:
        labels: what `classify` and `tag` choose among; empty for other kinds.
        template: the question, with the fields of `FIELDS` in braces.
        style: how the question is put to the model.
        columns: the columns of files that hold each part of a row; those of `COLUMNS` where a part has none.
        label_values: the words that stand for labels in files, and the labels.
        is_numbered: a number in a file is a label's place, from 0, unless `label_values` has numbers of its own.
        pattern: a regular expression with the groups ``text`` and ``label`` for files of lines; empty for none.
        measures: what it is measured by; empty: as `DEFAULT_MEASURES` says.
        prior_correction: divide the probability of each label by its probability without a text.
    """

    name: str
    kind: TaskKind
    labels: tuple[str, ...] = ()
    template: str = ""
    style: PromptStyle = "chat"
    columns: Mapping[TaskColumn, str] = field(default_factory=dict)
    label_values: Mapping[str, str] = field(default_factory=dict)
    is_numbered: bool = True
    pattern: str = ""
    measures: tuple[str, ...] = ()
    prior_correction: bool = False

    def question(self, text: str, text_pair: str = "", labels: Sequence[str] = ()) -> str:
        """The template, filled in once: braces in the texts stay what they are."""
        values = {"text": text, "text_pair": text_pair, "labels": ", ".join(labels or self.labels)}
        return _FIELD.sub(lambda found: values.get(found[1], found[0]), self.template or DEFAULT_TEMPLATES[self.kind])

    @property
    def takes_pairs(self) -> bool:
        """Whether the question needs a second text."""
        return "{text_pair}" in (self.template or DEFAULT_TEMPLATES[self.kind])

    @property
    def measured_by(self) -> tuple[str, ...]:
        """What it is measured by."""
        return self.measures or DEFAULT_MEASURES[self.kind]

    def label_of(self, written: str) -> str | None:
        """The label that a word in a file stands for: by `label_values`, as it is, or by its place, from 0."""
        named = self.label_values.get(written, written)
        if named in self.labels:
            return named
        is_place = self.is_numbered and not any(word.isdecimal() for word in self.label_values)
        if is_place and written.isdecimal() and int(written) < len(self.labels):
            return self.labels[int(written)]
        return None


def unknown_fields(template: str) -> list[str]:
    """What a template has in braces that no task fills in."""
    return [name for name in _FIELD.findall(template) if name not in FIELDS]

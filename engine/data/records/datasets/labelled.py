"""Texts with a label, or with labelled spans."""

from pydantic import JsonValue

from engine.data.records.datasets import task_rows
from engine.data.records.dialogue import kind_of, string_of
from engine.data.records.limits import FormatError, Limits
from engine.data.records.text import clean
from engine.data.samples import Label, Labelled, LabelledSpan


def is_labelled(record: dict[str, JsonValue]) -> bool:
    """A text with a label or with spans beside it."""
    return isinstance(record.get("text"), str) and (record.get("label") is not None or bool(record.get("spans")))


def parse_labelled(record: dict[str, JsonValue], limits: Limits) -> Labelled:
    """``{"text", "label", "task"?, "text_pair"?}``, or ``{"text", "spans": [{"start", "end", "label"}, ...]}``.

    Raises:
        FormatError: the text is empty, the label is an object, or a span does not lie in the text; or the row names a
            task that it does not fit.
    """
    if record.get("answer") in ("reject", "ignore"):  # as Prodigy writes it
        raise FormatError(f"labels that their annotator did not accept: 'answer' is {record['answer']!r}")
    if (task := limits.tasks.get(clean(string_of(record, "task")))) is not None:
        return task_rows.sample_of(record, task)
    raw = string_of(record, "text")
    text = clean(raw)
    if not text:
        raise FormatError("'text' is empty")
    spans = _spans(record.get("spans") or [], raw, text)
    pair, name = clean(string_of(record, "text_pair")), clean(string_of(record, "task"))
    return Labelled(text, _label(record.get("label")), name, pair, spans)


def _label(value: JsonValue) -> Label | tuple[Label, ...] | None:
    if isinstance(value, list):
        return tuple(_single(each) for each in value)
    return None if value is None else _single(value)


def _single(value: JsonValue) -> Label:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, bool | int | float):
        return value
    raise FormatError(f"'label' must be a string, a number, true or false, or a list of these, not {kind_of(value)}")


def _spans(value: JsonValue, raw: str, text: str) -> tuple[LabelledSpan, ...]:
    if not value:
        return ()
    if not isinstance(value, list):
        raise FormatError(f"'spans' must be an array, not {kind_of(value)}")
    if raw != text:  # their characters are counted in the text as it was written
        raise FormatError("'spans' in a text that has blank ends, control characters or another normal form than NFC")
    return tuple(_span(each, len(text)) for each in value)


def _span(value: JsonValue, length: int) -> LabelledSpan:
    if not isinstance(value, dict):
        raise FormatError(f"a span must be an object with start, end and label, not {kind_of(value)}")
    start, end, label = value.get("start"), value.get("end"), value.get("label")
    if not isinstance(start, int) or not isinstance(end, int) or not isinstance(label, str):
        raise FormatError("a span must have a start, an end and a label")
    if not 0 <= start < end <= length:
        raise FormatError(f"the span from {start} to {end} does not lie in the text of {length} characters")
    return LabelledSpan(start, end, clean(label))

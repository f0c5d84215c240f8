"""Rows of files as labelled samples of one task. What is not of the task is refused, with what would be.

A row is an object with the columns of the task, or an article of SQuAD with its paragraphs.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from pydantic import JsonValue

from engine.data.records.limits import FormatError
from engine.data.records.text import clean
from engine.data.samples import Labelled, LabelledSpan
from engine.data.tasks.task import COLUMNS, Task, TaskColumn

Row = Mapping[str, JsonValue]
_HELD_BY_OBJECT = ("text", "answer", "label", "value")
_SHOWN = 60


def samples_of(value: JsonValue, task: Task) -> Iterator[Labelled | FormatError]:
    """Every labelled sample in a value of a file, and why others are none."""
    if isinstance(value, dict) and isinstance(inner := value.get("data", value.get("paragraphs")), list):
        for each in inner:
            yield from samples_of(each, task)
    elif isinstance(value, dict) and isinstance(questions := value.get("qas"), list):
        for question in questions:
            yield _sample({**question, "context": value.get("context")} if isinstance(question, dict) else {}, task)
    elif isinstance(value, dict):
        yield _sample(value, task)
    else:
        yield FormatError(f"task '{task.name}' needs objects with columns; this is {_shown(value)}")


def sample_of(row: Row, task: Task) -> Labelled:
    """The labelled sample in one row.

    Raises:
        FormatError: it is not of the task; the message says what it lacks.
    """
    raw = _text_of(row, task, "text")
    text, pair, raw_pair = clean(raw), "", ""
    if task.takes_pairs:
        raw_pair = _text_of(row, task, "text_pair")
        pair = clean(raw_pair)
    if not text or (task.takes_pairs and not pair):
        raise FormatError(f"task '{task.name}': a text is empty")
    match task.kind:
        case "extract":
            source, raw_source = (pair, raw_pair) if pair else (text, raw)
            return Labelled(text, None, task.name, pair, _answers(row, task, source, raw_source))
        case "tag":
            return Labelled(text, None, task.name, pair, _spans(row, task, text, raw))
        case _:
            return Labelled(text, _label(row, task), task.name, pair)


def _sample(row: Row, task: Task) -> Labelled | FormatError:
    try:
        return sample_of(row, task)
    except FormatError as error:
        return error


def _column(row: Row, task: Task, part: TaskColumn) -> JsonValue:
    """What a row has for a part of the task; null where no column holds it."""
    names = (task.columns[part],) if part in task.columns else COLUMNS[part]
    return next((row[name] for name in names if row.get(name) is not None), None)


def _text_of(row: Row, task: Task, part: TaskColumn) -> str:
    found = _column(row, task, part)
    if found is None and part == "text":
        found = _joined(row)
    if not isinstance(found, str):
        wanted = f"'{task.columns[part]}'" if part in task.columns else ", ".join(COLUMNS[part])
        raise FormatError(
            f"task '{task.name}': no column holds its {part}; wanted is {wanted} (tasks.{task.name}.columns names "
            f"another), and the row has {', '.join(row)[: 2 * _SHOWN] or 'none'}"
        )
    return found


def _joined(row: Row) -> str | None:
    """The text of a row of tokens."""
    tokens = row.get("tokens", row.get("tokenized_text"))
    return " ".join(str(token) for token in tokens) if isinstance(tokens, list) and tokens else None


def _label(row: Row, task: Task) -> str:
    found = _column(row, task, "label")
    while isinstance(found, list | dict):
        inner = found[:1] if isinstance(found, list) else [found[name] for name in _HELD_BY_OBJECT if name in found]
        if isinstance(found, list) and len(found) > 1 and task.kind == "classify":
            raise FormatError(f"task '{task.name}' has one label to a text; this row has {len(found)}")
        found = inner[0] if inner else None
    if found is None or found == -1:  # as SNLI writes it where its annotators did not agree
        raise FormatError(f"task '{task.name}': the row has no label")
    written = clean(json.dumps(found) if isinstance(found, bool | int | float) else found)
    if task.kind != "classify":
        if not written:
            raise FormatError(f"task '{task.name}': the answer is empty")
        return written
    if not task.labels:
        raise FormatError(f"task '{task.name}' has no labels: name them in tasks.{task.name}.labels")
    label = task.label_of(written)
    if label is None:
        raise FormatError(
            f"'{written[:_SHOWN]}' is none of the labels of task '{task.name}': {', '.join(task.labels)[:400]} "
            f"(tasks.{task.name}.label_values says what stands for them)"
        )
    return label


def _answers(row: Row, task: Task, source: str, raw: str) -> tuple[LabelledSpan, ...]:
    """The answers to a question about ``source``; none where it has none there."""
    if row.get("is_impossible") is True:
        return ()
    found = _column(row, task, "label")
    if isinstance(found, dict):  # the columns of Hugging Face's SQuAD
        texts, starts = found.get("text"), found.get("answer_start")
        if isinstance(texts, list) and isinstance(starts, list):
            found = [{"text": text, "answer_start": start} for text, start in zip(texts, starts, strict=False)]
    if isinstance(found, str):
        found = [{"text": found}] if found.strip() else []
    if not isinstance(found, list):
        raise FormatError(f"task '{task.name}': the row has no answers")
    spans = []
    for each in found:
        text, start = (each.get("text"), each.get("answer_start")) if isinstance(each, dict) else (each, None)
        if not isinstance(text, str):
            raise FormatError(f"task '{task.name}': an answer has no text")
        spans.append(_placed(text, start if isinstance(start, int) else None, source, raw, ""))
    return tuple(dict.fromkeys(spans))


def _placed(words: str, start: int | None, source: str, raw: str, label: str) -> LabelledSpan:
    """Where ``words``, which stood at ``start`` of the raw text, stand in the text as it is stored."""
    wanted = clean(words)
    at = None if start is None or raw[start : start + len(words)] != words else start
    if at is not None and source[at : at + len(wanted)] == wanted:
        return LabelledSpan(at, at + len(wanted), label)
    places = _places(source, wanted) if wanted else []
    if at is not None and places:
        stated = at
        at = min(places, key=lambda place: abs(place - stated))
    elif len(places) == 1:
        [at] = places
    else:
        where = "nowhere" if not places else f"{len(places)} times"
        raise FormatError(f"'{words[:_SHOWN]}' stands {where} in the text: say where it begins")
    return LabelledSpan(at, at + len(wanted), label)


def _places(source: str, words: str) -> list[int]:
    found, at = [], source.find(words)
    while at >= 0:
        found.append(at)
        at = source.find(words, at + 1)
    return found


def _spans(row: Row, task: Task, text: str, raw: str) -> tuple[LabelledSpan, ...]:
    """The spans of a row of tokens with tags, or of a text with spans."""
    found = _column(row, task, "spans")
    if not isinstance(found, list):
        raise FormatError(f"task '{task.name}': the row has neither spans nor tags")
    tokens = row.get("tokens", row.get("tokenized_text"))
    if isinstance(tokens, list):
        words = [str(token) for token in tokens]
        places = _of_tags(found) if len(found) == len(words) and _are_tags(found) else _of_tokens(found)
        ends = list(pairwise(_starts(words)))
        for first, last, _ in places:
            _check_within(first, last + 1, len(words), "tokens")
        given = [(ends[first][0], ends[last][1] - 1, label) for first, last, label in places]
    else:
        given = [_given(each, task) for each in found]
        for start, end, _ in given:
            _check_within(start, end, len(raw), "characters")
    return tuple(_placed(raw[start:end], start, text, raw, _type(label, task)) for start, end, label in given)


def _check_within(start: int, end: int, length: int, units: str) -> None:
    """Refuse a span that is not in the text: without it the row would teach that nothing is there."""
    if not 0 <= start < end <= length:
        raise FormatError(f"the span from {start} to {end} does not lie in the text of {length} {units}")


def _starts(words: Sequence[str]) -> list[int]:
    """Where each word begins in all of them with blanks between, and where one more would."""
    starts = [0]
    for word in words:
        starts.append(starts[-1] + len(word) + 1)
    return starts


def _are_tags(found: Sequence[JsonValue]) -> bool:
    return all(isinstance(tag, str) for tag in found)


def _of_tags(found: Sequence[JsonValue]) -> list[tuple[int, int, str]]:
    """First and last token of what IOB tags mark; an I- after O opens a span, as IOB1 has it."""
    spans: list[tuple[int, int, str]] = []
    before = ""
    for number, tag in enumerate(map(str, found)):
        prefix, _, label = tag.partition("-")
        if prefix in ("B", "S", "U") or (prefix in ("I", "E", "L") and before != label):
            spans.append((number, number, label))
        elif prefix in ("I", "E", "L"):
            spans[-1] = (spans[-1][0], number, label)
        before = "" if prefix in ("E", "L", "S", "U") else label  # these end a span
    return spans


def _of_tokens(found: Sequence[JsonValue]) -> list[tuple[int, int, str]]:
    """First and last token of spans in tokens, both inclusive, as GLiNER has them."""
    spans = []
    for each in found:
        match each:
            case [int(first), int(last), str(label)]:
                spans.append((first, last, label))
            case _:
                raise FormatError(f"a span of tokens is [first, last, label], not {_shown(each)}")
    return spans


def _given(each: JsonValue, task: Task) -> tuple[int, int, str]:
    match each:
        case [int(start), int(end), str(label)]:
            return start, end, label
        case {"start": int(start), "end": int(end), "label": str(label)}:
            return start, end, label
        case {"start": int(start), "end": int(end), "type": str(label)}:
            return start, end, label
        case _:
            raise FormatError(f"task '{task.name}': a span has start, end and label, not {_shown(each)}")


def _type(written: str, task: Task) -> str:
    label = task.label_of(clean(written))
    if label is None:
        raise FormatError(
            f"'{written[:_SHOWN]}' is none of the labels of task '{task.name}': {', '.join(task.labels)[:400]} "
            f"(tasks.{task.name}.label_values says what stands for them)"
        )
    return label


def _shown(value: JsonValue) -> str:
    return json.dumps(value, ensure_ascii=False)[:_SHOWN]

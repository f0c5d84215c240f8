"""Spans as a model writes them, and where in the text they are.

One span is written as its words; several as a line each, ``LABEL: WORDS``, in the order of the text; none as `NOTHING`.
Offsets count Unicode code points. The grammar lets a model write nothing but words of the text, and what is read back
is looked for from left to right, each occurrence once.
"""

import re
from collections.abc import Iterator, Sequence

from engine.data.samples import LabelledSpan
from engine.data.tasks.task import NOTHING, Task

_BREAK = re.compile(r"\s")
_WORD = re.compile(r"\w+|[^\w\s]")


def source_of(task: Task, text: str, text_pair: str) -> str:
    """The text that holds the spans: of a question about a text, the text."""
    return text_pair if task.kind == "extract" and task.takes_pairs else text


def on_one_line(text: str) -> str:
    """The same text, as long, with plain blanks: a span never breaks a line of the answer."""
    return _BREAK.sub(" ", text)


def written(task: Task, source: str, spans: Sequence[LabelledSpan]) -> str:
    """The answer that names these spans of ``source``."""
    line = on_one_line(source)
    if task.kind == "extract":
        return line[spans[0].start : spans[0].end].strip() if spans else NOTHING
    ordered = sorted(spans, key=lambda span: (span.start, span.end))
    return "\n".join(f"{span.label}: {line[span.start : span.end].strip()}" for span in ordered) or NOTHING


def read_back(task: Task, source: str, answer: str, labels: Sequence[str]) -> list[LabelledSpan]:
    """The spans that an answer names; what is not found in ``source`` is left out."""
    line = on_one_line(source)
    if task.kind == "extract":
        found = answer.strip()
        start = line.find(found) if found and found != NOTHING else -1
        return [] if start < 0 else [LabelledSpan(start, start + len(found), "")]
    return list(_named(line, answer, set(labels)))


def _named(line: str, answer: str, labels: set[str]) -> Iterator[LabelledSpan]:
    taken: dict[tuple[str, str], int] = {}
    longest_first = sorted(labels, key=len, reverse=True)  # a label may have a colon in it
    for written_line in answer.split("\n"):
        label = next((one for one in longest_first if written_line.startswith(f"{one}: ")), None)
        words = "" if label is None else written_line.removeprefix(f"{label}: ").strip()
        if label is None or not words:
            continue
        start = line.find(words, taken.get((label, words), 0))
        if start >= 0:
            taken[label, words] = start + len(words)
            yield LabelledSpan(start, start + len(words), label)


def tags(source: str, spans: Sequence[LabelledSpan]) -> list[tuple[str, int, int, str]]:
    """Every word and punctuation mark with its place and its IOB2 tag.

    A word gets the tag of the first span that holds its beginning.
    """
    found = []
    for word in _WORD.finditer(source):
        span = next((each for each in spans if each.start <= word.start() < each.end), None)
        begins = span is not None and not source[span.start : word.start()].strip()
        tag = "O" if span is None else f"{'B' if begins else 'I'}-{span.label}"
        found.append((word[0], word.start(), word.end(), tag))
    return found

"""What the page says of tasks: their measures, which labels are confused, and answers that were won and lost."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from control.report import elements

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from control.evaluation_answers import Report, ReportConfusedPair, ReportTask, ReportTaskCase

_STRONGEST = 85
"""Per cent of colour in the cell of a row that has all of it."""


def render(report: Report) -> str:
    """All tasks; empty where no row of one was measured."""
    found = report["tasks"]
    if not found:
        return ""
    head = ("task", "measure", "rows", "candidate", "incumbent", "difference")
    rows = [row for name, task in found.items() for row in _measures(name, task)]
    return elements.table("Tasks", head, rows, numbers=range(2, 6)) + "".join(
        f"<h2>Task {escape(name)}</h2>{''.join(_of(task))}" for name, task in found.items()
    )


def _measures(name: str, task: ReportTask) -> Iterator[Sequence[str]]:
    for measure, value in task["candidate"].items():
        before = task["incumbent"].get(measure)
        change = "" if before is None else f"{value - before:+.4f}"
        yield name, measure, f"{task['rows']:,}", f"{value:.4f}", elements.number(before), change


def _of(task: ReportTask) -> Iterator[str]:
    yield f"<p>{_in_words(task)}</p>"
    if task["counts"]:
        yield _matrix(task)
    if task["confused"]:
        yield "<h3>Most often confused</h3>" + "".join(map(_confused, task["confused"]))
    for title, cases in (("Answers won", task["won"]), ("Answers lost", task["lost"]), ("Wrong", task["wrong"])):
        if cases:
            yield f"<h3>{title}</h3>" + "".join(map(_case, cases))


def _in_words(task: ReportTask) -> str:
    text = f"{task['right']:,} of {task['rows']:,} answers are right"
    if task["incumbent_right"] is None:
        return f"{text}."
    return (
        f"{text}, {task['incumbent_right']:,} were before: "
        f'<b class="won-text">{task["better"]:,} won</b>, <b class="lost-text">{task["worse"]:,} lost</b>.'
    )


def _matrix(task: ReportTask) -> str:
    """A row for each right label, a column for each label that the candidate says; the darker, the more of the row."""
    head = "".join(f"<th class=number>{escape(label)}</th>" for label in task["labels"])
    lines = []
    for place, (label, counts) in enumerate(zip(task["labels"], task["counts"], strict=True)):
        cells = "".join(_cell(count, sum(counts), is_right=place == column) for column, count in enumerate(counts))
        lines.append(f"<tr><th>{escape(label)}</th>{cells}</tr>")
    return (
        f'<figure class="wide"><table class="matrix"><tr><th></th>{head}</tr>{"".join(lines)}</table>'
        "<figcaption>A row for what is right, a column for what the version says. Right answers are green, on the "
        "diagonal; wrong ones are red, and the stronger, the larger their share of the row.</figcaption></figure>"
    )


def _cell(count: int, total: int, *, is_right: bool) -> str:
    share = round(_STRONGEST * count / max(1, total))
    colour = "won" if is_right else "lost"
    shade = f' style="background: color-mix(in srgb, var(--{colour}) {share}%, var(--card))"'
    return f"<td{shade}>{count or ''}</td>"


def _confused(pair: ReportConfusedPair) -> str:
    before = "" if pair["incumbent"] is None else f", {pair['incumbent']:,} before"
    examples = "".join(f"<pre>{escape(text)}</pre>" for text in pair["examples"])
    return (
        f'<div class="case"><div><b>{escape(pair["predicted"])}</b> for <b>{escape(pair["expected"])}</b>: '
        f"{pair['candidate']:,}{before}</div>{examples}</div>"
    )


def _case(case: ReportTaskCase) -> str:
    sure = "" if case["probability"] is None else f" ({case['probability']:.0%} sure)"
    said = [("right", case["expected"]), ("says", case["candidate"] + sure)]
    if case["incumbent"] is not None:
        said.append(("before", case["incumbent"]))
    return f'<div class="case"><pre>{escape(case["text"])}</pre>{_table(said)}</div>'


def _table(pairs: Iterable[tuple[str, str]]) -> str:
    lines = (f'<tr><td class="soft">{name}</td><td>{escape(text) or "-"}</td></tr>' for name, text in pairs)
    return f"<table>{''.join(lines)}</table>"

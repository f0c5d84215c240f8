"""What files were taken for, as a table for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from control.terminal import output

if TYPE_CHECKING:
    from collections.abc import Sequence

    from control.data_answers import FileRead

FORMATS = {
    "lines": "JSON Lines",
    "document": "JSON",
    "transcript": "transcript",
    "templated": "chat template",
    "table": "CSV or TSV",
    "utterances": "a dialogue a line",
    "plain": "plain text",
    "packed": "packed",
    "parquet": "Parquet",
    "arrow": "Arrow",
    "arrow-stream": "Arrow",
    "sqlite": "SQLite",
}
"""How thord read a file, in words."""
_MOST_FILES, _MOST_REFUSALS = 50, 20
"""Shown; ``--json`` has all of them."""


_Count = Literal["conversations", "turns", "texts", "preferences", "labelled", "held", "refused_records"]
_FOUND: tuple[_Count, ...] = ("conversations", "turns", "texts", "preferences", "labelled")


def show(reports: Sequence[FileRead]) -> None:
    """A row for each file, then what in them is not learned again, and why something was refused."""
    if not reports:
        return
    fates = ("NEW", "KNOWN") if "added" in reports[0] else ()
    output.columns(
        ("FILE", "FORMAT", *map(str.upper, _FOUND), *fates, "HELD", "REFUSED"), map(_row, reports[:_MOST_FILES])
    )
    if (more := len(reports) - _MOST_FILES) > 0:
        output.say(f"and {more} more files: --json")
    for report in reports[:_MOST_FILES]:
        if forgotten := report.get("forgotten"):
            output.say(f"not learned again: {output.clean(report.get('file'))}: {forgotten} samples were forgotten")
    refused = [(report, record) for report in reports for record in report["refused"]]
    for report, record in refused[:_MOST_REFUSALS]:
        place = f", line {record['line']}" if record["line"] else ""
        output.say(f"refused: {output.clean(report.get('file'))}{place}: {output.clean(record['reason'])}")
    if (more := sum(report["refused_records"] for report in reports) - min(len(refused), _MOST_REFUSALS)) > 0:
        output.say(f"and {more} more refused")


def total(reports: Sequence[FileRead]) -> str:
    """What all files hold together, as a sentence."""
    counts = {name: sum(report[name] for report in reports) for name in (*_FOUND, "refused_records")}
    always = ("conversations", "refused_records")
    told = {name: count for name, count in counts.items() if count or name in always}
    return ", ".join(f"{name.removesuffix('_records')}: {count:,}" for name, count in told.items())


def _row(report: FileRead) -> list[str]:
    fates = [report["added"], report.get("duplicates", 0)] if "added" in report else []
    counts = [*(report[name] for name in _FOUND), *fates, report["held"], report["refused_records"]]
    name = report["format"]
    return [report.get("file", ""), FORMATS.get(name, name), *map(output.figure, counts)]

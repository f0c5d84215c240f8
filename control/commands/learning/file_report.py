"""What files were taken for, as a table for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

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


def show(reports: Sequence[FileRead]) -> None:
    """A row for each file, then why something in them was refused."""
    if not reports:
        return
    is_dry = "added" not in reports[0]
    output.columns(
        (
            "FILE",
            "FORMAT",
            "CONVERSATIONS",
            "TURNS",
            "TEXTS",
            "PREFERENCES",
            "LABELLED",
            *(() if is_dry else ("NEW", "KNOWN")),
            "HELD",
            "REFUSED",
        ),
        (_row(report, is_dry=is_dry) for report in reports[:_MOST_FILES]),
    )
    if (more := len(reports) - _MOST_FILES) > 0:
        output.say(f"and {more} more files: --json")
    refused = [(report, record) for report in reports for record in report["refused"]]
    for report, record in refused[:_MOST_REFUSALS]:
        place = f", line {record['line']}" if record["line"] else ""
        output.say(f"refused: {output.clean(report.get('file'))}{place}: {output.clean(record['reason'])}")
    if (more := sum(report["refused_records"] for report in reports) - min(len(refused), _MOST_REFUSALS)) > 0:
        output.say(f"and {more} more refused")


def total(reports: Sequence[FileRead]) -> str:
    """What all files hold together, as a sentence."""
    counts = {
        "conversations": sum(report["conversations"] for report in reports),
        "turns": sum(report["turns"] for report in reports),
        "texts": sum(report["texts"] for report in reports),
        "preferences": sum(report["preferences"] for report in reports),
        "labelled": sum(report["labelled"] for report in reports),
        "refused": sum(report["refused_records"] for report in reports),
    }
    always = ("conversations", "refused")
    return ", ".join(f"{name}: {count:,}" for name, count in counts.items() if count or name in always)


def _row(report: FileRead, *, is_dry: bool) -> list[str]:
    counts = [
        report["conversations"],
        report["turns"],
        report["texts"],
        report["preferences"],
        report["labelled"],
        *(() if is_dry else (report.get("added", 0), report.get("duplicates", 0))),
        report["held"],
        report["refused_records"],
    ]
    name = report["format"]
    return [report.get("file", ""), FORMATS.get(name, name), *map(output.figure, counts)]

"""``report``: why a version was promoted or rejected, as a page, as JSON, and in a few lines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from control import engine_process, errors, exit_status
from control.cli.arguments import version_folder
from control.cli.parser import Commands, Options, connect
from control.client import version_number
from control.terminal import output

if TYPE_CHECKING:
    from control.answers import AnchorState
    from control.client import Thord
    from control.evaluation_answers import Report, ReportTask

_MODULE = "daemon.workers.evaluator.reported"


class ReportOptions(Options):
    """What ``report`` is given."""

    version: str
    against: str | None
    data: list[str]
    output_dir: str


def add(commands: Commands) -> None:
    """Declare the command."""
    report = commands.add(
        "report",
        "write a report on a version: what it won and lost, and why the gate decided as it did",
        _report,
        """
        thorctl report 12
        thorctl report 12 --against 3 --output-dir reports
        thorctl report 12 --against 3 --data exam.jsonl --json | jq .analysis.worse
        """,
        "It writes report-V.html, one page that needs nothing else, and report-V.json, and prints a summary. The page "
        "shows texts that were held out. thord need not run; while it does, the page has its anchor tests too.",
    )
    report.add_argument("version", metavar="VERSION", help="its number, or 'current': the one that serves")
    report.add_argument("--against", metavar="V", help="compare with this one instead of the one it was judged against")
    report.add_argument("--data", nargs="+", default=[], metavar="FILE", help="compare on these files")
    report.add_argument("--output-dir", default=".", metavar="DIR", help="where to write (here)")


def _report(options: ReportOptions) -> int:
    thord = connect(options)
    folder = version_folder(thord, None if options.version == "current" else options.version)
    question: dict[str, object] = {
        "places": [str(place) for place in thord.paths],
        "version": int(folder.name),
        "against": None if options.against is None else version_number(options.against),
        "files": [str(Path(file).expanduser().absolute()) for file in options.data],
    }
    report: Report = json.loads(engine_process.run(_MODULE, [], text=json.dumps(question), show_progress=True))
    report["anchor"] = _anchor(thord)
    written = _write(report, Path(options.output_dir).expanduser())
    if options.json:
        output.emit(report)
    else:
        _show(report, written)
    return exit_status.DONE


def _anchor(thord: Thord) -> AnchorState | None:
    """The anchor tests, while thord runs."""
    try:
        return thord.status().get("anchor")
    except errors.ThordError:
        return None


def _write(report: Report, folder: Path) -> Path:
    """Write page and JSON; where the page is."""
    from control.report import page

    folder.mkdir(parents=True, exist_ok=True)
    name = f"report-{report['version']}" + (f"-against-{report['against']}" if report["against"] else "")
    text = json.dumps(report, indent=2, ensure_ascii=False)
    (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    file = folder / f"{name}.html"
    file.write_text(page.render(report), encoding="utf-8")
    return file


def _show(report: Report, written: Path) -> None:
    found, verdict = report["analysis"], report["verdict"]
    fields = {"version": report["version"], "against": report["against"] or "-"}
    if verdict is not None:
        decided = "passed" if verdict.get("passed") else "refused"
        fields["gate"] = decided if report["decided"] else f"would have {decided} it"
        fields["because"] = output.clean(verdict.get("reason"))
    fields["bits per byte"] = f"{found['candidate']:.4f} on {found['conversations']:,} conversations"
    if found["incumbent"] is not None:
        change = found["candidate"] - found["incumbent"]
        fields["bits per byte"] += f", {change:+.4f}; {found['better']:,} became better, {found['worse']:,} worse"
    for title, cases in (("most improved", found["won"]), ("most worsened", found["lost"]), ("worst", found["worst"])):
        if cases:
            words = " ".join((cases[0]["prompt"] or cases[0]["answer"]).split())[:80]
            fields[title] = f"{cases[0]['candidate']:.3f} bits per byte: {output.clean(words)}"
    for name, task in report["tasks"].items():
        fields[f"task {name}"] = _in_words(task)
    fields["page"] = str(written)
    output.fields(fields)


def _in_words(task: ReportTask) -> str:
    """How many answers to the rows of a task are right, and what is confused most."""
    text = f"{task['right']:,} of {task['rows']:,} right"
    if task["incumbent_right"] is not None:
        text += f", {task['incumbent_right']:,} before; {task['better']:,} won, {task['worse']:,} lost"
    if task["confused"]:
        most = task["confused"][0]
        text += f"; most confused: {most['predicted']} for {most['expected']} ({most['candidate']:,})"
    return output.clean(text)

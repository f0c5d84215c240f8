"""The report as one HTML page: no script, nothing from elsewhere, light and dark, printable. All text is escaped."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from control.report import elements, plots, tasks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from control.answers import Json
    from control.evaluation_answers import Report, ReportCase

_STYLE = """
:root { color-scheme: light dark; --ink: #1d2430; --soft: #5b6573; --paper: #fff; --card: #f4f6f8; --line: #d5dae1;
  --ours: #1f6feb; --theirs: #b35900; --won: #1a7f37; --lost: #c4314b; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ee; --soft: #9aa4b2; --paper: #14181f; --card: #1d232c;
  --line: #343c48; --ours: #6ea8fe; --theirs: #f0a35e; --won: #56c271; --lost: #f2748a; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 2rem 1.25rem 4rem; color: var(--ink); background: var(--paper);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; } h2 { font-size: 1.15rem; margin: 2.25rem 0 .5rem; }
h3 { font-size: 1rem; margin: 1.25rem 0 .4rem; }
p { margin: .4rem 0; } .soft, figcaption { color: var(--soft); font-size: .9rem; }
.verdict { border-left: .4rem solid var(--soft); background: var(--card); padding: .8rem 1rem; margin: 1rem 0; }
.verdict.passed { border-color: var(--won); } .verdict.refused { border-color: var(--lost); }
.verdict b { font-size: 1.1rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(10rem, 1fr)); gap: .75rem; margin: 1rem 0; }
.tiles div { background: var(--card); padding: .7rem .9rem; } .tiles b { display: block; font-size: 1.3rem; }
figure { margin: 1rem 0; } .wide { overflow-x: auto; } svg { width: 100%; height: auto; display: block; }
.key i { display: inline-block; width: .8rem; height: .8rem; margin: 0 .35rem 0 .8rem; vertical-align: -1px; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; }
th, td { text-align: left; overflow-wrap: anywhere; vertical-align: top;
  padding: .35rem .6rem .35rem 0; border-bottom: 1px solid var(--line); }
td.number, th.number { text-align: right; overflow-wrap: normal;
  font-variant-numeric: tabular-nums; white-space: nowrap; }
.won-text { color: var(--won); } .lost-text { color: var(--lost); }
.matrix td { text-align: right; border: 1px solid var(--paper); padding: .3rem .5rem; }
.matrix th { border: 0; padding: .3rem .5rem; font-weight: normal; }
.case { background: var(--card); padding: .7rem .9rem; margin: .6rem 0; break-inside: avoid; }
.case td { border: 0; padding: 0 .6rem 0 0; } .case td:first-child { width: 4.5rem; }
.case pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: .25rem 0;
  font: .88rem/1.45 ui-monospace, monospace; }
.axis { stroke: var(--soft); fill: none; } .ideal { stroke: var(--soft); stroke-dasharray: 4 4; fill: none; }
.tick, .label { fill: var(--soft); font: 11px system-ui, sans-serif; } .label { font-size: 12px; }
.ours { stroke: var(--ours); fill: none; stroke-width: 2; }
.theirs { stroke: var(--theirs); fill: none; stroke-width: 2; }
.ours.fill { fill: var(--ours); fill-opacity: .35; stroke: none; } .ours.dot { fill: var(--ours); }
.theirs.dot { fill: var(--theirs); } .won { fill: var(--won); } .lost { fill: var(--lost); }
@media print { body { max-width: none; padding: 0; } figure, table { break-inside: avoid; } }
"""


def render(report: Report) -> str:
    """The whole page."""
    title = f"Version {report['version']}" + (f" against {report['against']}" if report["against"] else "")
    body = "".join(
        each
        for each in (
            _head(report, title),
            _verdict(report),
            _figures(report),
            _plots(report),
            _demands(report),
            _slices(report),
            _suites(report),
            tasks.render(report),
            _cases(report),
            _answers(report),
        )
        if each
    )
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>{body}</body></html>\n'
    )


def _head(report: Report, title: str) -> str:
    about = report["manifest"]
    parameters = about.get("parameters")
    size = f", {parameters:,} weights" if isinstance(parameters, int) else ""
    made = escape(str(about.get("created_at") or "")[:19].replace("T", " "))
    count = report["analysis"]["conversations"]
    where = "of the files named" if report["measured_on"] == "files" else "that were held out from learning"
    return (
        f"<h1>{escape(title)}</h1>"
        f'<p class="soft">{escape(str(about.get("family", "")))}{size}, made {made}. Compared on {count:,} '
        f"conversations {where}. Fewer bits per byte are better.</p>"
    )


def _verdict(report: Report) -> str:
    verdict = report["verdict"]
    if verdict is None:
        return '<div class="verdict"><b>No comparison</b><p>No other version is beside this one.</p></div>'
    passed = verdict.get("passed") is True
    kind = "passed" if passed else "refused"
    word = (
        ("The gate passed it" if passed else "The gate refused it")
        if report["decided"]
        else ("The gate would pass it" if passed else "The gate would refuse it")
    )
    note = "" if report["decided"] else '<p class="soft">This comparison decided nothing.</p>'
    return f'<div class="verdict {kind}"><b>{word}</b><p>{escape(str(verdict.get("reason", "")))}</p>{note}</div>'


def _figures(report: Report) -> str:
    found = report["analysis"]
    tiles = [(f"{found['candidate']:.4f}", f"bits per byte, version {report['version']}")]
    if found["incumbent"] is not None:
        tiles.append((f"{found['incumbent']:.4f}", f"bits per byte, version {report['against']}"))
        tiles.append((f"{found['candidate'] - found['incumbent']:+.4f}", "difference"))
        tiles.append((f"{found['better']:,} : {found['worse']:,}", "conversations won and lost"))
    if (forgot := report["metrics"].get("forgetting_bits_per_byte")) is not None and report["decided"]:
        tiles.append((f"{forgot:+.4f}", "forgetting: on what was held out before"))
    return '<div class="tiles">' + "".join(f"<div><b>{a}</b>{escape(b)}</div>" for a, b in tiles) + "</div>"


def _plots(report: Report) -> str:
    key = _key(report)
    made = [
        elements.figure(
            "How hard conversations are", plots.losses(report["analysis"]), f"{key} The further left, the better."
        ),
    ]
    if report["analysis"]["differences"]:
        made.append(
            elements.figure(
                "What was won and lost",
                plots.differences(report["analysis"]),
                "Each bar is a conversation: green below the line became better, red above it worse, in bits per byte.",
            )
        )
    if any(report["reliability"].values()):
        text = f"{key} On the dashed line a model is right as often as it says; below it, it is too sure of itself."
        made.append(
            elements.figure("Whether it is as sure as it should be", plots.reliability(report["reliability"]), text)
        )
    anchor = report.get("anchor")
    if anchor and anchor["audits"]:
        text = (
            "Differences to the best audited version of the time, with bounds, on conversations that no gate reads. "
            "Below zero is better. They do not add up."
        )
        made.append(elements.figure("Audits over promotions", plots.audits(anchor), text))
    return "".join(made)


def _key(report: Report) -> str:
    names = [("ours", f"version {report['version']}")]
    if report["against"]:
        names.append(("theirs", f"version {report['against']}"))
    return "".join(f'<span class="key"><i style="background:var(--{c})"></i>{escape(n)}.</span>' for c, n in names)


def _demands(report: Report) -> str:
    """Every demand of the gate with its figures."""
    verdict = report["verdict"]
    if verdict is None:
        return ""
    rows: list[Sequence[str]] = []
    for name, found in (
        ("all", verdict.get("overall")),
        ("fresh", verdict.get("fresh")),
        ("earlier", verdict.get("earlier")),
    ):
        if isinstance(found, dict):
            rows.append(_demand(f"{name} conversations", found))
    for table in ("slices", "sets"):
        inner = verdict.get(table)
        for name, found in inner.items() if isinstance(inner, dict) else ():
            if isinstance(found, dict):
                rows.append(_demand(f"{'set' if table == 'sets' else 'kind'} {name}", found))
    head = ("demand", "samples", "candidate", "incumbent", "difference", "between", "passed")
    text = elements.table("What the gate looked at", head, rows, numbers=range(1, 6))
    budgets = verdict.get("budgets")
    kept = [
        (
            name,
            elements.number(one.get("found")),
            elements.number(one.get("most")),
            "yes" if one.get("passed") else "no",
        )
        for name, one in (budgets.items() if isinstance(budgets, dict) else ())
        if isinstance(one, dict)
    ]
    return text + (elements.table("Budgets", ("budget", "found", "most", "kept"), kept, numbers=(1, 2)) if kept else "")


def _demand(name: str, found: dict[str, Json]) -> Sequence[str]:
    passed = found.get("passed")
    bounds = f"{elements.number(found.get('lower'))} … {elements.number(found.get('upper'))}"
    figures = (elements.number(found.get(key)) for key in ("candidate", "incumbent", "difference"))
    word = "" if "passed" not in found else "too few to judge" if passed is None else "yes" if passed else "no"
    return (name, str(found.get("conversations", "")), *figures, bounds, word)


def _slices(report: Report) -> str:
    rows = []
    for one in report["analysis"]["slices"]:
        other = one["incumbent"]
        change = "" if other is None else f"{one['candidate'] - other:+.4f}"
        shown = "" if other is None else f"{other:.4f}"
        rows.append((one["by"], one["name"], f"{one['conversations']:,}", f"{one['candidate']:.4f}", shown, change))
    head = ("by", "part", "conversations", "candidate", "incumbent", "difference")
    return elements.table("Parts, in bits per byte", head, rows, numbers=range(2, 6))


def _suites(report: Report) -> str:
    rows = [
        (name, measure, f"{value:.4f}", elements.number(suite["incumbent"].get(measure)))
        for name, suite in report["suites"].items()
        for measure, value in suite["candidate"].items()
    ]
    return (
        elements.table("Suites", ("suite", "measure", "candidate", "incumbent"), rows, numbers=(2, 3)) if rows else ""
    )


def _cases(report: Report) -> str:
    found = report["analysis"]
    groups = (("Most improved", found["won"]), ("Most worsened", found["lost"]), ("Worst of all", found["worst"]))
    return "".join(f"<h2>{title}</h2>{''.join(map(_case, cases))}" for title, cases in groups if cases)


def _case(case: ReportCase) -> str:
    figures = f"{case['candidate']:.3f}"
    if (other := case["incumbent"]) is not None:
        kind = "won-text" if case["candidate"] < other else "lost-text"
        figures += f' against {other:.3f} <b class="{kind}">({case["candidate"] - other:+.3f})</b>'
    asked = f'<div class="soft">asked</div><pre>{escape(case["prompt"])}</pre>' if case["prompt"] else ""
    return (
        f'<div class="case"><div>{figures} bits per byte <span class="soft">{escape(case["source"])}</span></div>'
        f'{asked}<div class="soft">a person</div><pre>{escape(case["answer"])}</pre></div>'
    )


def _answers(report: Report) -> str:
    cases = []
    for sample in report["samples"]:
        texts = (
            ("asked", sample["prompt"]),
            ("a person", sample["expected"]),
            ("before", sample["incumbent"]),
            ("after", sample["candidate"]),
        )
        inner = "".join(f'<div class="soft">{n}</div><pre>{escape(t)}</pre>' for n, t in texts if t is not None)
        cases.append(f'<div class="case">{inner}</div>')
    return f"<h2>What it answers</h2>{''.join(cases)}" if cases else ""

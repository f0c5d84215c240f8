"""``data quarantine``: what came in, what was refused and why."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from control import exit_status
from control.cli.parser import Commands, Options, connect, positive
from control.commands.learning.ingest import in_words
from control.terminal import output

if TYPE_CHECKING:
    from control.answers import Counts, Refusal
    from control.client import Thord


_HELD_KINDS = ("preference", "labelled")
"""Kinds of samples that no objective learns yet."""
_MOST = 10_000
"""Refusals that are looked through to group them."""


class DataOptions(Options):
    """What ``data`` is given."""

    action: str | None
    source: str


class QuarantineOptions(Options):
    """What ``quarantine`` is given."""

    action: str | None
    limit: int


def add(commands: Commands) -> None:
    """Declare the commands."""
    data = commands.add(
        "data",
        "count samples: new, assigned, learned, held out, set aside, held, quarantined",
        _data,
        "thorctl data\nthorctl data --json | jq .new\nthorctl data retry chats.jsonl",
        "Conversations whose cycles failed or were rejected data.max_tries times are set aside; 'data retry' makes "
        "those of one file, or all of them, new again. Held are preferences and labelled texts: they are kept, and "
        "no objective learns them yet.",
    )
    data.add_argument("action", nargs="?", choices=("retry",), help="take up again what was set aside")
    data.add_argument("source", nargs="?", default="all", metavar="SOURCE", help="only those of this file (all)")
    quarantine = commands.add(
        "quarantine",
        "list what was refused and why, newest first; or read it again",
        _quarantine,
        "thorctl quarantine\nthorctl quarantine retry\nthorctl quarantine --json | jq -r '.[].reason'",
    )
    quarantine.add_argument("action", nargs="?", choices=("retry",), help="read again what was refused")
    quarantine.add_argument("-n", "--limit", type=positive, default=50, help="how many at most (50)")


def _data(options: DataOptions) -> int:
    thord = connect(options)
    if options.action == "retry":
        return _retry(thord, options)
    counts = thord.data()
    aside = thord.set_aside() if counts["set_aside"] else []
    if options.json:
        output.emit({**counts, "set_aside_because": aside})
        return exit_status.DONE
    output.fields({name.replace("_", " "): figure for name, figure in _figures(counts).items()})
    if aside:
        output.say("\nset aside; to try again: thorctl data retry [SOURCE]")
        output.columns(
            ("CONVERSATIONS", "SOURCE", "REASON"),
            ((output.figure(entry["conversations"]), entry["source"], entry["reason"]) for entry in aside),
        )
    return exit_status.DONE


def _figures(counts: Counts) -> dict[str, str]:
    """The numbers by state; of what is held, also those by kind."""
    figures = {name: output.figure(count) for name, count in counts.items() if isinstance(count, int)}
    kinds = {kind: number for kind, number in counts.get("by_kind", {}).items() if kind in _HELD_KINDS and number}
    if kinds:
        figures["held"] += f" ({', '.join(f'{number} {kind}' for kind, number in kinds.items())})"
    return figures


def _retry(thord: Thord, options: DataOptions) -> int:
    taken = thord.retry_set_aside(None if options.source == "all" else options.source)
    if options.json:
        output.emit(taken)
    elif not taken["conversations"]:
        output.say("nothing is set aside")
    else:
        output.say(f"{_conversations(taken['conversations'])} new again; the next cycle takes them: thorctl train")
    return exit_status.DONE


def _conversations(number: int) -> str:
    return "1 conversation is" if number == 1 else f"{number:,} conversations are"


def _quarantine(options: QuarantineOptions) -> int:
    thord = connect(options)
    if options.action == "retry":
        found = thord.retry_quarantine()
        if options.json:
            output.emit(found)
        else:
            output.say(f"read once more: {in_words(found)}")
        return exit_status.DONE
    refused = thord.quarantine(options.limit if options.json else _MOST)
    if options.json:
        output.emit(refused)
    elif not refused:
        output.say("nothing is in quarantine")
    else:
        _show_refused(refused, options.limit, thord.data()["quarantined"])
    return exit_status.DONE


def _show_refused(refused: list[Refusal], limit: int, total: int) -> None:
    """What was refused of a file for one reason is one line; numbers in it may differ."""
    groups: dict[tuple[str, str], list[Refusal]] = {}
    for entry in refused:
        groups.setdefault((entry["file"], re.sub(r"\d+", "#", entry["reason"])), []).append(entry)
    output.columns(
        ("NEWEST", "FILE", "RECORDS", "LINES", "REASON"),
        (
            (
                output.moment(entries[0].get("at")),
                entries[0]["file"],
                str(len(entries)),
                _lines_of(entries),
                entries[0]["reason"],
            )
            for entries in list(groups.values())[:limit]
        ),
    )
    more = len(groups) - limit
    output.say(f"{total} in quarantine" + (f"; {more} more lines like these: -n {len(groups)}" if more > 0 else ""))


def _lines_of(entries: list[Refusal]) -> str:
    """``3, 17, 18 …``; a dash where the whole file is meant."""
    lines = sorted(line for entry in entries if (line := entry.get("line")) is not None)
    return (", ".join(map(str, lines[:3])) + (" …" if len(lines) > 3 else "")) or "-"

"""``data`` and ``quarantine``: what came in, what became of it, and what was refused and why."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from control import errors, exit_status
from control.cli.parser import Commands, Options, connect, positive
from control.commands.learning import file_report, forget, samples
from control.commands.learning.ingest import in_words
from control.terminal import output

if TYPE_CHECKING:
    from collections.abc import Callable

    from control.answers import Counts
    from control.data_answers import Refusal, SampleEntry


_KINDS = ("dialogue", "text", "preference", "labelled")
_STATES = ("new", "assigned", "learned", "held_out", "set_aside", "held", "refused")
_HELD_KINDS = ("preference", "labelled")
"""Kinds of samples that no objective learns yet."""
_MOST = 10_000
"""Refusals that are looked through to group them."""


class DataOptions(Options):
    """What ``data`` is given."""

    action: str | None
    words: list[str]
    source: str | None
    kind: str | None
    state: str | None
    limit: int
    owner: str | None
    yes: bool
    retrain: bool


class QuarantineOptions(Options):
    """What ``quarantine`` is given."""

    action: str | None
    limit: int


def add(commands: Commands) -> None:
    """Declare the commands."""
    data = commands.add(
        "data",
        "count samples, look at them, retry them, or forget them for good",
        _data,
        """
        thorctl data
        thorctl data list --source talk.jsonl --state held
        thorctl data find "PIN is"
        thorctl data show 3f9a0c41d2e7
        thorctl data retry chats.jsonl
        thorctl data forget 3f9a0c41d2e7 --retrain
        thorctl data forget --source talk.jsonl --yes
        """,
        "Without an action: how many samples are in each state, of each kind, format and file. 'list', 'show' (an ID "
        "or a file) and 'find' (a text) say where samples came from, their state, and the versions that learned them; "
        "thord need not run for that. Conversations whose cycles failed or were rejected data.max_tries times are set "
        "aside; 'retry' makes those of one file, or all of them, new again. Held are preferences and labelled texts: "
        "they are kept, and no objective learns them yet. 'forget' removes samples for good from everything that thord "
        "keeps, names the versions that learned them, and never learns them again; it cannot be undone.",
    )
    data.add_argument("action", nargs="?", choices=tuple(_ACTIONS), help="what to do (count)")
    data.add_argument("words", nargs="*", metavar="WHAT", help="an ID, a file or a text, as the action wants it")
    data.add_argument("--source", metavar="FILE", help="only samples of this file, by its path or its name")
    data.add_argument("--kind", choices=_KINDS, help="only samples of this kind")
    data.add_argument("--state", choices=_STATES, help="only samples in this state")
    data.add_argument("--owner", metavar="O", help="forget: what this owner said, by the SHA-256 of the API key")
    data.add_argument(
        "--retrain",
        action="store_true",
        help="forget: go back to the last version without it, and learn the rest again",
    )
    data.add_argument("-y", "--yes", action="store_true", help="forget: without asking")
    data.add_argument("-n", "--limit", type=positive, default=50, help="how many at most (50)")
    quarantine = commands.add(
        "quarantine",
        "list what was refused and why, newest first; or read it again",
        _quarantine,
        "thorctl quarantine\nthorctl quarantine retry\nthorctl quarantine --json | jq -r '.[].reason'",
    )
    quarantine.add_argument("action", nargs="?", choices=("retry",), help="read again what was refused")
    quarantine.add_argument("-n", "--limit", type=positive, default=50, help="how many at most (50)")


def _data(options: DataOptions) -> int:
    action = options.action or "count"
    given = {
        "--source": options.source is not None,
        "--kind": options.kind is not None,
        "--state": options.state is not None,
        "--owner": options.owner is not None,
        "--retrain": options.retrain,
        "--yes": options.yes,
    }
    if idle := [name for name, is_given in given.items() if is_given and name not in _OPTIONS.get(action, ())]:
        raise errors.UsageError(f"'data {action}' has no {' and no '.join(idle)}")
    return _ACTIONS[action](options)


def _count(options: DataOptions) -> int:
    if options.words:
        raise errors.UsageError("'data count' takes no names: it counts all samples")
    thord = connect(options)
    counts = thord.data()
    sources = thord.sources()
    aside = thord.set_aside() if counts["set_aside"] else []
    if options.json:
        output.emit({**counts, **sources, "set_aside_because": aside})
        return exit_status.DONE
    output.fields({name.replace("_", " "): figure for name, figure in _figures(counts).items()})
    kinds = {kind: number for kind, number in counts.get("by_kind", {}).items() if number}
    formats = {file_report.FORMATS.get(name, name): number for name, number in sources["by_format"].items()}
    for head, found in (("KIND", kinds), ("FORMAT", formats), ("FILE", sources["by_source"])):
        if found:
            output.say()
            output.columns((head, "SAMPLES"), ((name, output.figure(number)) for name, number in found.items()))
    if aside:
        output.say("\nset aside; to try again: thorctl data retry [SOURCE]")
        output.columns(
            ("CONVERSATIONS", "SOURCE", "REASON"),
            ((output.figure(entry["conversations"]), entry["source"], entry["reason"]) for entry in aside),
        )
    return exit_status.DONE


def _list(options: DataOptions) -> int:
    if options.words:
        raise errors.UsageError("'data list' takes options only: --source FILE, --kind, --state, --limit")
    asked = {"source": options.source, "kind": options.kind, "state": options.state, "limit": options.limit}
    return _tell(samples.entries(connect(options).paths, "list", **asked), options)


def _find(options: DataOptions) -> int:
    if not options.words:
        raise errors.UsageError("'data find' needs the text to look for")
    asked = {"subject": " ".join(options.words), "kind": options.kind, "state": options.state, "limit": options.limit}
    return _tell(samples.entries(connect(options).paths, "find", **asked), options)


def _show(options: DataOptions) -> int:
    if len(options.words) != 1:
        raise errors.UsageError("'data show' needs one ID, or one file")
    found = samples.entries(connect(options).paths, "show", subject=options.words[0], limit=options.limit)
    if options.json or "sample" not in found[0]:
        return _tell(found, options)
    for entry in found:
        samples.show_one(entry)
    return exit_status.DONE


def _forget(options: DataOptions) -> int:
    if not (options.words or options.source or options.owner):
        raise errors.UsageError("say what to forget: IDs, --source FILE, or --owner O")
    return forget.forget(
        connect(options),
        options.words,
        options.source,
        options.owner,
        retrain=options.retrain,
        sure=options.yes,
        as_json=options.json,
    )


def _tell(found: list[SampleEntry], options: DataOptions) -> int:
    if options.json:
        output.emit(found)
        return exit_status.DONE
    return samples.show_list(found, options.limit)


def _figures(counts: Counts) -> dict[str, str]:
    """The numbers by state; of what is held, also those by kind."""
    figures = {name: output.figure(count) for name, count in counts.items() if isinstance(count, int)}
    kinds = {kind: number for kind, number in counts.get("by_kind", {}).items() if kind in _HELD_KINDS and number}
    if kinds:
        figures["held"] += f" ({', '.join(f'{number} {kind}' for kind, number in kinds.items())})"
    return figures


def _retry(options: DataOptions) -> int:
    if len(options.words) + (options.source is not None) > 1:
        raise errors.UsageError("'data retry' takes one file, or none for all of them")
    named = options.source or (options.words[0] if options.words else "all")
    taken = connect(options).retry_set_aside(None if named == "all" else named)
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


_ACTIONS: dict[str, Callable[[DataOptions], int]] = {
    "count": _count,
    "list": _list,
    "show": _show,
    "find": _find,
    "retry": _retry,
    "forget": _forget,
}
_OPTIONS = {
    "list": ("--source", "--kind", "--state"),
    "find": ("--kind", "--state"),
    "retry": ("--source",),
    "forget": ("--source", "--owner", "--retrain", "--yes"),
}
"""What each action takes."""

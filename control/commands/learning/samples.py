"""``data list``, ``show`` and ``find``: where samples came from, their state, and the versions that learned them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from control import engine_process, exit_status
from control.terminal import output

if TYPE_CHECKING:
    from collections.abc import Sequence

    from control.answers import Json
    from control.data_answers import CycleOfSample, SampleEntry
    from control.paths import Paths

MODULE = "daemon.workers.intake.inquiries.browse"
_STATES = {"held_out": "held out", "set_aside": "set aside"}
_OUTCOMES = {"learned": "promoted", "returned": "not promoted", None: "under way"}


def entries(paths: Paths, action: str, **asked: Json) -> list[SampleEntry]:
    """Ask a process that reads the ledger.

    Raises:
        NotFoundError: there is no such sample or file.
        ThordError: the ledger cannot be read.
    """
    found: list[SampleEntry] = json.loads(engine_process.ask(MODULE, paths, action=action, **asked))
    return found


def show_list(found: Sequence[SampleEntry], limit: int) -> int:
    """A line for each sample, and for each refusal its reason."""
    if not found:
        output.say("no such sample; 'thorctl data' counts what there is")
        return exit_status.DONE
    output.columns(
        ("ID", "KIND", "STATE", "SOURCE", "VERSIONS", "TEXT"),
        (
            (
                entry.get("id", "-"),
                entry.get("kind", "-"),
                _STATES.get(entry["state"], entry["state"]),
                _place(entry),
                ", ".join(entry.get("versions", [])) or "-",
                entry.get("text") or entry.get("note") or "-",
            )
            for entry in found
        ),
    )
    if len(found) == limit:
        output.say(f"the first {limit}; more with --limit")
    return exit_status.DONE


def show_one(entry: SampleEntry) -> None:
    """All about one sample."""
    cycles = [_cycle(part) for part in entry.get("cycles", [])]
    pairs = {
        "id": entry.get("identity", "-"),
        "kind": entry.get("kind", "-"),
        "state": _STATES.get(entry["state"], entry["state"]),
        "from": _place(entry),
        "added": output.moment(entry.get("added_at")),
        "note": entry.get("note") or "",
        "cycles": "; ".join(cycles) or "none yet",
        "learned by": ", ".join(entry.get("versions", [])) or "no version",
        "made from these": ", ".join(entry.get("made_from_these", [])),
    }
    output.fields({name: output.clean(value) for name, value in pairs.items() if value})
    output.say()
    for line in _text(entry.get("sample")).split("\n"):
        output.say(output.clean(line))


def _place(entry: SampleEntry) -> str:
    return f"{entry['source']}:{entry['line']}" if entry["line"] else entry["source"]


def _cycle(part: CycleOfSample) -> str:
    version = f", version {part['version']}" if part["version"] else ""
    return f"{part['cycle']} ({part['as']}, {_OUTCOMES[part['outcome']]}{version})"


def _text(sample: dict[str, Json] | None) -> str:
    """A sample for people: turns under their roles."""
    if sample is None:
        return "its text is damaged on disk"
    messages = sample.get("messages")
    if isinstance(messages, list):
        return "\n\n".join(f"{turn['role']}: {turn['content']}" for turn in messages if isinstance(turn, dict))
    text = sample.get("text")
    return text if isinstance(text, str) and len(sample) == 2 else json.dumps(sample, indent=2, ensure_ascii=False)

"""What became of the files that a scan named, whoever had them read: that scan, or the watcher before it."""

from collections import Counter
from pathlib import Path

from daemon.messages import FileRead, RefusedRecord, Scan, Scanned
from daemon.workers.intake.ledger.sources import FileOutcome, Findings, Sources

_REFUSALS_OF_A_FILE, _REFUSALS_OF_ALL = 5, 300
"""So many are told one by one: an answer must fit into a message."""
_REASON_CHARACTERS = 200


def of_files(command: Scan, sources: Sources) -> Scanned:
    """The answer to a scan that named files."""
    total, read_as, left = Findings(), Counter[str](), _REFUSALS_OF_ALL
    files: list[FileRead | None] = []
    for file in command.files:
        outcome = sources.outcome(Path(file), min(_REFUSALS_OF_A_FILE, left))
        if outcome is None:
            files.append(None)
            continue
        files.append(_told(outcome))
        left -= len(outcome.refusals)
        total.add(outcome.found)
        if outcome.found.added or outcome.found.duplicates or outcome.found.held:
            read_as[outcome.format] += 1
    return Scanned(
        to=command.id,
        added=total.added,
        duplicates=total.duplicates,
        held=total.held,
        quarantined=total.quarantined,
        read_as=read_as,
        files=tuple(files),
    )


def _told(outcome: FileOutcome) -> FileRead:
    found, contents = outcome.found, outcome.found.contents
    return FileRead(
        format=outcome.format,
        conversations=contents.dialogues,
        turns=contents.turns,
        texts=contents.texts,
        preferences=contents.preferences,
        labelled=contents.labelled,
        added=found.added,
        duplicates=found.duplicates,
        held=found.held,
        forgotten=found.forgotten,
        refused_records=found.quarantined,
        refused=tuple(RefusedRecord(line=line, reason=_shortened(reason)) for line, reason in outcome.refusals),
    )


def _shortened(reason: str) -> str:
    return reason if len(reason) <= _REASON_CHARACTERS else f"{reason[: _REASON_CHARACTERS - 1]}…"

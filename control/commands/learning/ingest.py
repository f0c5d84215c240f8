"""``ingest``: giving thord files, and saying what it took them for."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from control import errors, exit_status
from control.cli.parser import Commands, Options, connect
from control.commands.learning import file_report
from control.terminal import output

if TYPE_CHECKING:
    from control.client import Thord
    from control.data_answers import FileRead, Scanned


class IngestOptions(Options):
    """What ``ingest`` is given."""

    files: list[str]
    corpus: bool
    dry_run: bool


class Copied(NamedTuple):
    """A file of the inbox, the name it was given under, and whether it is new there."""

    target: Path
    name: str
    is_new: bool


def add(commands: Commands) -> None:
    """Declare the command."""
    ingest = commands.add(
        "ingest",
        "copy files into the inbox, read them at once, and say what each was taken for",
        _ingest,
        """
        thorctl ingest chats/*.jsonl
        thorctl ingest --dry-run export.zip
        thorctl ingest --corpus books/
        export-chats | thorctl ingest -
        """,
        "The format is detected from the content. While thord is down, the files are copied and read when it starts. "
        "With --dry-run nothing is copied or learned: each file is read as thord would, and the beginning of its first "
        "sample is shown as the model will see it, with what is learned marked: in colour on a terminal, else in "
        "[[ ]]. thord need not run for that.",
    )
    ingest.add_argument("files", nargs="+", metavar="FILE", help="files or folders; '-' is standard input")
    ingest.add_argument("--corpus", action="store_true", help="plain text to learn from, not conversations")
    ingest.add_argument("--dry-run", action="store_true", help="only say what the files would be taken for")


def _ingest(options: IngestOptions) -> int:
    from control import inbox

    if options.dry_run:
        from control.commands.learning import dry_run

        return dry_run.show(connect(options).paths, options.files, is_corpus=options.corpus, as_json=options.json)
    thord = connect(options)
    folder = thord.paths.inbox / ("corpus" if options.corpus else "conversations")
    copied: list[Copied] = []
    given = [(name, [] if name == "-" else list(inbox.files_in(Path(name)))) for name in options.files]
    for name, files in given:  # all of them exist, so that a wrong name does not leave half of what was given
        if name == "-":
            target, is_new = inbox.put(sys.stdin.buffer, "stdin", folder)
            copied.append(Copied(target, "stdin", is_new))
        for file, wanted in files:
            try:
                stream = file.open("rb")
            except OSError as error:
                raise errors.NotPermittedError(f"{file} cannot be read: {error.strerror}") from error
            with stream:
                target, is_new = inbox.put(stream, wanted, folder)
            copied.append(Copied(target, str(file), is_new))
    found: Scanned | None = None
    when = ""
    try:
        found = _what_became_of(copied, thord)
    except errors.NotRunningError:
        when = "thord is not running and reads them when it starts"
    except errors.NotPermittedError:
        when = "thord reads them by itself in a moment"  # A member of the group may give, but not command.
    if options.json:
        paths = [str(file.target) for file in copied]
        reports = [] if found is None else found.pop("files", [])
        output.emit({"files": paths, "read": found is not None, **(found or {}), "reports": reports})
    elif found is None:
        output.say(f"{_files(len(copied))} copied into {folder}; {when}")
    else:
        file_report.show(_under_given_names(found.get("files", []), copied))
        output.say(f"{_files(len(copied))} copied into {folder}: {in_words(found)}")
    return exit_status.DONE


def _under_given_names(reports: list[FileRead | None], copied: list[Copied]) -> list[FileRead]:
    """What became of each file that was read, under the name it has outside the inbox."""
    names = {str(file.target): file.name for file in copied}
    return [{**report, "file": names.get(report.get("file", ""), "")} for report in reports if report is not None]


def in_words(found: Scanned) -> str:
    """What a scan came to, as a sentence."""
    conversations = "conversation" if found["added"] == 1 else "conversations"
    return (
        f"{found['added']} {conversations} added, {found['duplicates']} known already, "
        + (f"{held} held (no objective learns these yet), " if (held := found.get("held", 0)) else "")
        + f"{found['quarantined']} refused"
        + (" (why: thorctl quarantine)" if found["quarantined"] else "")
    )


def _what_became_of(copied: list[Copied], thord: Thord) -> Scanned:
    """Of each file that is new; what lay there already, byte for byte, is known already."""
    new = [file.target for file in copied if file.is_new]
    found: Scanned = thord.scan(new) if new else {"added": 0, "duplicates": 0, "held": 0, "quarantined": 0, "files": []}
    if old := [file.target for file in copied if not file.is_new]:
        before = thord.scan(old)
        found["duplicates"] += before["added"] + before["duplicates"] + before.get("held", 0)
        found["files"] += [report and _all_known(report) for report in before.get("files", [])]
    return found


def _all_known(report: FileRead) -> FileRead:
    known = report.get("added", 0) + report.get("duplicates", 0) + report["held"]
    return {**report, "added": 0, "duplicates": known, "held": 0}


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"

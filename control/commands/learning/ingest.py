"""``ingest``: giving thord files, and saying what it took them for."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from control import errors, exit_status
from control.cli.parser import Commands, Options, connect
from control.terminal import output

if TYPE_CHECKING:
    from control.answers import Scanned
    from control.client import Thord


_SHAPES = {
    "lines": "JSON Lines",
    "document": "JSON",
    "transcript": "transcripts",
    "templated": "text in a chat template",
    "table": "CSV or TSV",
    "utterances": "dialogues of one line each",
    "plain": "plain text",
}
"""How thord read a file, in words."""


class IngestOptions(Options):
    """What ``ingest`` is given."""

    files: list[str]
    corpus: bool


def add(commands: Commands) -> None:
    """Declare the command."""
    ingest = commands.add(
        "ingest",
        "copy files into the inbox and read them at once",
        _ingest,
        """
        thorctl ingest chats/*.jsonl
        thorctl ingest --corpus books/
        export-chats | thorctl ingest -
        """,
        "The format is detected from the content. While thord is down, the files are copied and read when it starts.",
    )
    ingest.add_argument("files", nargs="+", metavar="FILE", help="files or folders; '-' is standard input")
    ingest.add_argument("--corpus", action="store_true", help="plain text to learn from, not conversations")


def _ingest(options: IngestOptions) -> int:
    from control import inbox

    thord = connect(options)
    folder = thord.paths.inbox / ("corpus" if options.corpus else "conversations")
    copied: list[tuple[Path, bool]] = []
    for name in options.files:
        if name == "-":
            copied.append(inbox.put(sys.stdin.buffer, "stdin", folder))
            continue
        for file, target in inbox.files_in(Path(name)):
            try:
                stream = file.open("rb")
            except OSError as error:
                raise errors.NotPermittedError(f"{file} cannot be read: {error.strerror}") from error
            with stream:
                copied.append(inbox.put(stream, target, folder))
    found: Scanned | None = None
    when = ""
    try:
        found = _what_became_of(copied, thord)
    except errors.NotRunningError:
        when = "thord is not running and reads them when it starts"
    except errors.NotPermittedError:
        when = "thord reads them by itself in a moment"  # A member of the group may give, but not command.
    if options.json:
        output.emit({"files": [str(file) for file, _ in copied], "read": found is not None, **(found or {})})
    elif found is None:
        output.say(f"{_files(len(copied))} copied into {folder}; {when}")
    else:
        output.say(f"{_files(len(copied))} copied into {folder}: {in_words(found)}")
        shapes = [f"{count} as {_SHAPES.get(name, name)}" for name, count in found.get("read_as", {}).items()]
        if shapes:
            output.say(f"read: {', '.join(shapes)}")
    return exit_status.DONE


def in_words(found: Scanned) -> str:
    """What a scan came to, as a sentence."""
    return (
        f"{found['added']} conversations added, {found['duplicates']} known already, "
        + (f"{held} held (no objective learns these yet), " if (held := found.get("held", 0)) else "")
        + f"{found['quarantined']} refused"
        + (" (why: thorctl quarantine)" if found["quarantined"] else "")
    )


def _what_became_of(copied: list[tuple[Path, bool]], thord: Thord) -> Scanned:
    """Of each file that is new; what lay there already, byte for byte, is known already."""
    new = [file for file, is_new in copied if is_new]
    found: Scanned = thord.scan(new) if new else {"added": 0, "duplicates": 0, "held": 0, "quarantined": 0}
    if old := [file for file, is_new in copied if not is_new]:
        before = thord.scan(old)
        found["duplicates"] += before["added"] + before["duplicates"] + before.get("held", 0)
    return found


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"

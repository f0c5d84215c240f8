"""``ingest --dry-run``: files read as thord would, by a process of its own, and nothing of it kept."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from control import engine_process, exit_status, inbox
from control.commands.learning import file_report
from control.terminal import output

if TYPE_CHECKING:
    from control.answers import Json
    from control.data_answers import FileRead
    from control.paths import Paths

_MODULE = "daemon.workers.intake.inquiries.dry_run"
_CHARACTERS = 1500
"""Of each part of a sample that are shown to people: its beginning and its end."""


def show(paths: Paths, names: list[str], *, is_corpus: bool, as_json: bool) -> int:
    """Print what the files would be taken for.

    Raises:
        NotFoundError: there is no such file.
        UsageError: the settings of this home are wrong.
    """
    with tempfile.TemporaryDirectory() as folder:
        files: list[Json] = [[*file] for name in names for file in _files_in(name, Path(folder))]
        answer = engine_process.ask(_MODULE, paths, files=files, is_corpus=is_corpus, with_samples=as_json)
        reports: list[FileRead] = json.loads(answer)
    if as_json:
        output.emit(reports)
        return exit_status.DONE
    file_report.show(reports)
    for report in reports:
        if rendered := report.get("rendered"):
            output.say(f"\nthe first sample of {output.clean(report.get('file'))}, with what is learned of it marked:")
            output.say("".join(_marked(text, supervised=supervised) for text, supervised in rendered))
    output.say(f"\n{file_report.total(reports)}; nothing was learned")
    return exit_status.DONE


def _files_in(name: str, spool: Path) -> list[tuple[str, str]]:
    """Each file by its path, with the name that it is shown under; standard input is copied into ``spool``."""
    if name == "-":
        return [_spooled(spool)]
    return [(str(file.absolute()), str(file)) for file, _ in inbox.files_in(Path(name))]


def _spooled(folder: Path) -> tuple[str, str]:
    file = folder / "stdin"
    with file.open("wb") as stream:
        shutil.copyfileobj(sys.stdin.buffer, stream)
    return str(file), "stdin"


def _marked(text: str, *, supervised: bool) -> str:
    """Text that cannot steer a terminal; what is learned of it in colour, or in brackets where there is no colour."""
    text = "\n".join(map(output.clean, _shortened(text).split("\n")))
    if not supervised:
        return text
    coloured = "\n".join(output.paint(line, "green") if line else "" for line in text.split("\n"))
    return coloured if coloured != text else f"[[{text}]]"


def _shortened(text: str) -> str:
    left_out = len(text) - 2 * _CHARACTERS
    return text if left_out <= 0 else f"{text[:_CHARACTERS]} … {left_out} characters … {text[-_CHARACTERS:]}"

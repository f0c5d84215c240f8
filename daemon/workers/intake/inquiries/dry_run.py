"""What files would be taken for, without learning anything; a process of its own, which thord need not run for.

    python -m daemon.workers.intake.inquiries.dry_run < REQUEST

The request is JSON (`DryRunRequest`); the answer is a JSON list with an entry for each file, and for each member of an
archive. Status 2, with the reason on standard error, where the settings are wrong.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, JsonValue

from control import exit_status
from control.paths import Paths
from daemon.settings.load import SettingsError, load
from daemon.settings.sections import Tables
from daemon.workers.intake import folders
from daemon.workers.intake.batches import unexpected
from daemon.workers.intake.ledger.sources import Contents
from daemon.workers.reading import limits_of
from engine.artifacts import ArtifactError
from engine.data.named_fields import with_named_fields
from engine.data.readers import loaders
from engine.data.readers.items import Item, Refused
from engine.data.records.limits import Limits
from engine.data.samples import Conversation, Sample
from engine.data.tasks.posed import posed
from engine.data.tasks.task import Task
from engine.tokenizers import publish, registry, rendering
from engine.tokenizers.base import Tokenizer
from engine.tokenizers.bytes import ByteTokenizer

_RENDERED_FILES, _RENDERED_TOKENS = 20, 20_000
"""The beginnings of so many samples are rendered, one a file."""
_REFUSALS = 1000
"""So many of a file are told."""


class DryRunRequest(BaseModel):
    """What is asked.

    Attributes:
        places: of this thord: its settings file, and its folders of state, logs and sockets.
        files: each with the name to show.
        with_samples: the answer holds every sample.
    """

    places: tuple[Path, Path, Path, Path]
    files: list[tuple[Path, str]]
    is_corpus: bool = False
    with_samples: bool = False


@dataclass
class Report:
    """What was found in one file."""

    name: str
    with_samples: bool
    tasks: Mapping[str, Task]
    format: str = ""
    contents: Contents = field(default_factory=Contents)
    held: int = 0
    refused_records: int = 0
    refused: list[JsonValue] = field(default_factory=list)
    samples: list[JsonValue] = field(default_factory=list)
    first: Conversation | None = None

    def note(self, item: Item) -> None:
        """Count something found, or refused."""
        if isinstance(item, Refused):
            self.refuse(item.reason, item.line)
            self.format = self.format or _format_of(item)
            return
        sample: Sample = item.sample
        self.format = _format_of(item)
        self.contents.note(sample)
        learned = posed(sample, self.tasks)
        self.held += learned is None
        if self.with_samples:
            self.samples.append(with_named_fields(sample))
        self.first = self.first or learned

    def refuse(self, reason: str, line: int = 0) -> None:
        """Count a refusal."""
        self.refused_records += 1
        if len(self.refused) < _REFUSALS:
            self.refused.append({"line": line, "reason": reason})

    def to_json(self, tokenizer: Tokenizer | None) -> dict[str, JsonValue]:
        """The entry of the file; with a tokenizer, its first sample is rendered."""
        found = self.contents
        entry: dict[str, JsonValue] = {
            "file": self.name,
            "format": self.format,
            "conversations": found.dialogues,
            "turns": found.turns,
            "texts": found.texts,
            "preferences": found.preferences,
            "labelled": found.labelled,
            "held": self.held,
            "refused_records": self.refused_records,
            "refused": self.refused,
        }
        if self.with_samples:
            entry["samples"] = self.samples
        if tokenizer is not None and self.first is not None:
            runs = rendering.render(tokenizer, self.first, _RENDERED_TOKENS)
            entry["rendered"] = [[run.text, run.supervised] for run in runs]
        return entry


def _format_of(item: Item) -> str:
    return item.inside.format if item.inside else item.resume.format


def main() -> int:
    """Answer the request on standard input."""
    request = DryRunRequest.model_validate_json(sys.stdin.read())
    paths = Paths(*request.places)
    try:
        tables = load(paths).tables
    except SettingsError as error:
        print(error, file=sys.stderr)
        return exit_status.USAGE
    tokenizer = tokenizer_of(paths, tables)
    entries: list[JsonValue] = []
    for file, name in request.files:
        for report in read(file, name, tables, is_corpus=request.is_corpus, with_samples=request.with_samples):
            entries.append(report.to_json(tokenizer if len(entries) < _RENDERED_FILES else None))
    print(json.dumps(entries, ensure_ascii=True))
    return exit_status.DONE


def read(path: Path, name: str, tables: Tables, *, is_corpus: bool, with_samples: bool) -> Iterator[Report]:
    """What is in a file; of an archive, what is in each member."""
    report = Report(name, with_samples, tables.all_tasks)
    members: dict[str, Report] = {}

    def report_of(item: Item) -> Report:
        member = item.inside.member if item.inside else ""
        if not member:
            return report
        return members.setdefault(member, Report(f"{name}/{member}", with_samples, tables.all_tasks))

    limits = limits_of(tables.data, tables.all_tasks)
    if not path.is_file():
        report.refuse("not a file")
    elif (size := path.stat().st_size) > tables.data.max_file_megabytes << 20:
        report.refuse(f"{size} bytes are more than data.max_file_megabytes allows: raise it, or split the file")
    else:
        _read(path, limits, report, report_of, is_corpus=is_corpus or folders.is_corpus(path))
    if not members or report.format:
        yield report
    yield from members.values()


def _read(path: Path, limits: Limits, report: Report, report_of: Callable[[Item], Report], *, is_corpus: bool) -> None:
    try:
        with path.open("rb") as stream:
            for item in loaders.read(path, stream, limits, is_corpus=is_corpus):
                report_of(item).note(item)
    except OSError as error:
        report.refuse(f"cannot be read: {error.strerror or error}")
    except Exception as error:
        report.refuse(unexpected(error))


def tokenizer_of(paths: Paths, tables: Tables) -> Tokenizer:
    """That of the version in service; else the one that the first training would take, or one of bytes.

    All of thord's own have one chat template, so what is learned shows without theirs having been trained.
    """
    try:
        if paths.current.is_dir():
            return publish.load(paths.current)
        if tables.tokenizer.folder is not None:
            return registry.load(tables.tokenizer.kind, Path(tables.tokenizer.folder))
    except ArtifactError as error:
        print(f"warning: {error}", file=sys.stderr)
    return ByteTokenizer()


if __name__ == "__main__":
    sys.exit(main())

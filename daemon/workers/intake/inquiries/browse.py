"""Samples that thord has read: listed, shown and found, by a process of its own; thord need not run.

    python -m daemon.workers.intake.inquiries.browse < REQUEST

The request is JSON (`BrowseRequest`), and the answer is JSON. The status is one of `control.exit_status`, with the
reason on standard error, where something cannot be read or there is no such sample.
"""

import sqlite3
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, JsonValue, TypeAdapter

from control import exit_status
from control.paths import Paths, version_name
from daemon import sqlite
from daemon.lineage import made_from
from daemon.workers.forgotten import Forgotten
from daemon.workers.intake.inquiries.lineage import Lineage
from daemon.workers.intake.ledger.catalog import Catalog, Entry, Part
from daemon.workers.intake.ledger.selection import NotKnownError, Wanted, choose
from engine.data.named_fields import with_named_fields
from engine.data.samples import Sample
from engine.data.segments import DamagedSegmentError, Segments
from engine.data.storable import storable_path

_ID_DIGITS = 12
"""Of an identity: what people call a sample by."""
_SHOWN = 10
"""Samples that are shown before they are forgotten."""
_EXCERPT = 160
"""Characters of a sample that are shown in a list."""
_ANSWER: TypeAdapter[list[JsonValue]] = TypeAdapter(list[JsonValue])


class BrowseRequest(BaseModel):
    """What is asked.

    Attributes:
        places: of this thord: its settings file, and its folders of state, logs and sockets.
        subject: for ``show`` an ID or a file, for ``find`` a text.
        ids, owner: for ``meant``, what would be forgotten with these and with ``source``.
    """

    places: tuple[Path, Path, Path, Path]
    action: Literal["list", "show", "find", "meant"]
    subject: str = ""
    ids: tuple[str, ...] = ()
    owner: str | None = None
    source: str | None = None
    kind: str | None = None
    state: str | None = None
    limit: int = 50


class NoSuchSampleError(Exception):
    """Nothing is known by that name; the message says what was looked for."""


class Browser:
    """Answers requests about one home."""

    def __init__(self, database: sqlite3.Connection, segments: Path, lineage: Lineage) -> None:
        self._catalog = Catalog(database)
        self._forgotten = Forgotten(database)
        self._segments = Segments(segments)
        self._lineage = lineage

    def answer(self, request: BrowseRequest) -> list[JsonValue]:
        """What was asked for, one object a sample or refusal.

        Raises:
            NoSuchSampleError: there is no such sample or file.
        """
        if request.action == "show":
            return self._show(request.subject, request.limit)
        if request.action == "meant":
            return [self._meant(request)]
        if request.action == "find":
            return [self._told(entry, sample) for entry, sample in self._found(request)]
        if request.state == "refused":
            return _refusals(self._catalog, request.limit, request.source)
        found = self._catalog.newest(request.limit, request.source, request.kind, request.state)
        return [self._told(entry, self._sample(entry)) for entry in found]

    def _show(self, subject: str, limit: int) -> list[JsonValue]:
        if found := self._catalog.called(subject):
            return [self._whole(entry) for entry in found[:limit]]
        if self._catalog.sources_called(subject):
            told = [self._told(entry, self._sample(entry)) for entry in self._catalog.newest(limit, subject)]
            return [*told, *_refusals(self._catalog, limit, subject)]
        if at := self._forgotten.since(subject):
            raise NoSuchSampleError(f"{subject}: it was forgotten, {at}")
        raise NoSuchSampleError(f"{subject}: no sample has this ID, and no file of this name was read")

    def _meant(self, request: BrowseRequest) -> JsonValue:
        wanted = Wanted(request.ids, request.source, request.owner, Paths(*request.places).served)
        entries = choose(wanted, self._catalog, self._segments).entries
        learned = {number for entry in entries for number in self._versions(self._catalog.parts(entry.number))}
        return {
            "samples": len(entries),
            "first": [self._told(entry, self._sample(entry)) for entry in entries[:_SHOWN]],
            "versions": [version_name(number) for number in sorted(learned)],
            "made_from_these": [version_name(number) for number in sorted(made_from(self._lineage.parents, learned))],
        }

    def _found(self, request: BrowseRequest) -> Iterator[tuple[Entry, Sample]]:
        """Samples in which a text occurs, whatever its case."""
        wanted = unicodedata.normalize("NFC", request.subject).casefold()
        left = request.limit
        for entry in self._catalog.all():
            if left <= 0:
                return
            if (request.kind or entry.kind) != entry.kind or (request.state or entry.state) != entry.state:
                continue
            sample = self._sample(entry)
            if sample is not None and any(wanted in text.casefold() for text in sample.texts):
                left -= 1
                yield entry, sample

    def _whole(self, entry: Entry) -> JsonValue:
        sample = self._sample(entry)
        return {**self._told(entry, sample), "sample": None if sample is None else with_named_fields(sample)}

    def _told(self, entry: Entry, sample: Sample | None) -> dict[str, JsonValue]:
        parts = self._catalog.parts(entry.number)
        learned = sorted(self._versions(parts))
        later = sorted(made_from(self._lineage.parents, learned))
        return {
            "id": entry.identity[:_ID_DIGITS],
            "identity": entry.identity,
            "kind": entry.kind,
            "state": entry.state,
            "source": storable_path(entry.source),
            "line": entry.line,
            "added_at": entry.added_at,
            "turns": entry.turns,
            "note": entry.note,
            "text": _excerpt(sample),
            "cycles": [self._cycle(part) for part in parts],
            "versions": [version_name(number) for number in learned],
            "made_from_these": [version_name(number) for number in later],
        }

    def _cycle(self, part: Part) -> JsonValue:
        number = self._lineage.by_cycle.get(part.cycle)
        role = "validation" if part.validates else part.origin
        version = None if number is None else version_name(number)
        return {"cycle": part.cycle, "as": role, "outcome": part.outcome, "version": version}

    def _versions(self, parts: Sequence[Part]) -> set[int]:
        """The versions that were trained on a sample."""
        trained = (part.cycle for part in parts if part.origin != "held_out" and not part.validates)
        return {self._lineage.by_cycle[cycle] for cycle in trained if cycle in self._lineage.by_cycle}

    def _sample(self, entry: Entry) -> Sample | None:
        try:
            return self._segments.read(entry.location)
        except DamagedSegmentError:
            return None


def _refusals(catalog: Catalog, limit: int, source: str | None) -> list[JsonValue]:
    return [
        {"state": "refused", "source": file, "line": line, "added_at": at, "note": reason}
        for file, line, at, reason in catalog.refused(limit, source)
    ]


def _excerpt(sample: Sample | None) -> str | None:
    """How a sample begins, in one line; null where its text is damaged."""
    if sample is None:
        return None
    words = " ".join(" | ".join(sample.texts).split())
    return words if len(words) <= _EXCERPT else f"{words[: _EXCERPT - 1]}…"


def main() -> int:
    """Answer the request on standard input."""
    request = BrowseRequest.model_validate_json(sys.stdin.read())
    paths = Paths(*request.places)
    if not paths.ledger.exists():
        print(f"{paths.ledger}: nothing was read yet, or it may not be seen by this user", file=sys.stderr)
        return exit_status.FAILED
    try:
        lineage = Lineage.read(paths.database)
    except sqlite3.Error as error:
        print(f"{paths.database}: {error}", file=sys.stderr)
        return exit_status.FAILED
    try:
        with sqlite.open_to_read(paths.ledger) as database:
            answer = Browser(database, paths.segments, lineage).answer(request)
    except sqlite3.Error as error:
        print(f"{paths.ledger}: {error}", file=sys.stderr)
        return exit_status.FAILED
    except (NoSuchSampleError, NotKnownError) as error:
        print(error, file=sys.stderr)
        return exit_status.NOT_FOUND
    print(_ANSWER.dump_json(answer).decode())
    return exit_status.DONE


if __name__ == "__main__":
    sys.exit(main())

"""Reads what is new in one file into the ledger."""

import contextlib
import os
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from daemon.settings.data import DataSettings
from daemon.workers.intake import folders
from daemon.workers.intake.folders import Signature, UnreadableError
from daemon.workers.intake.ledger.dedup import Dedup, Tail, tail_of
from daemon.workers.intake.ledger.ledger import Ledger
from daemon.workers.intake.ledger.quarantine import Refusal
from daemon.workers.intake.ledger.sources import UNREAD, Findings, Source, fingerprint_of
from daemon.workers.intake.now_reading import NowReading
from daemon.workers.intake.parsing.blocks import MOST_REFUSALS, Block, Request
from daemon.workers.intake.parsing.parser import Parser
from daemon.workers.reading import limits_of
from engine.data.readers import registry
from engine.data.readers.items import Resume
from engine.data.storable import storable_lines
from engine.data.tasks.task import Task

_TRACE = 4000
"""Characters of a trace that are kept."""


class ChangedError(Exception):
    """The file changed while it was read."""


@dataclass(slots=True)
class _Reading:
    """One file on its way: what was found so far."""

    found: Findings = field(default_factory=Findings)
    resume: Resume = UNREAD
    tail: Tail | None = None
    refusals: list[Refusal] = field(default_factory=list)
    refused: int = 0
    is_hopeless: bool = False


class FileReader:
    """Reads files into the ledger. Every call that reads belongs inside a transaction of the ledger."""

    def __init__(
        self,
        ledger: Ledger,
        settings: DataSettings,
        now_reading: NowReading,
        parser: Parser,
        advance: Callable[[], None],
        tasks: Mapping[str, Task] | None = None,
    ) -> None:
        """``advance`` is called for every block: it counts progress, and may raise to stop."""
        self._ledger = ledger
        self._sources = ledger.sources
        self._quarantine = ledger.quarantine
        self._dedup = Dedup(ledger.samples, ledger.forgotten, settings.held_out_share, tasks or ())
        self._limits = limits_of(settings, tasks)
        self._file_bytes = settings.max_file_megabytes << 20
        self._now_reading = now_reading
        self._parser = parser
        self._advance = advance

    def read(self, path: Path, *, anew: bool = False) -> Findings:
        """Read what is new in the file at ``path``; with ``anew`` all of it, whatever was read before.

        Raises:
            FileNotFoundError: it is gone.
            ChangedError: it changed while it was read; the transaction is to be undone, and the file read later.
        """
        try:
            descriptor = folders.open_file(path)
        except UnreadableError as error:
            return self._refuse_unopened(path, str(error))
        try:
            return self._read_open(path, descriptor, anew=anew)
        finally:
            os.close(descriptor)

    def set_aside(self, path: Path, reason: str, error: Exception | None = None) -> Findings:
        """Refuse a file as it is now, unread: it is not looked at again until it changes or somebody asks for that."""
        try:
            signature = Signature.of(path.lstat())
        except OSError:
            return Findings()
        trace = storable_lines("".join(traceback.format_exception(error)), _TRACE) if error else ""
        known = self._sources.at(path)
        number = known.id if known else self._sources.begin(path, signature)
        self._quarantine.clear(number)
        self._quarantine.add(number, path, Refusal(reason, 0, 0, 0, trace))
        self._sources.finish(number, signature, UNREAD, b"", None)
        return Findings(quarantined=1)

    def read_copies(self, number: int, path: Path) -> Findings:
        """Read what quarantine kept of a file that is gone. Where there was nothing to keep, its refusal is over."""
        found = Findings()
        copies = self._quarantine.copies(number)
        if not copies:
            self._quarantine.clear(number)
        with contextlib.ExitStack() as opened:
            descriptors: list[int] = []
            for copy in copies:
                with contextlib.suppress(FileNotFoundError, UnreadableError):
                    descriptors.append(folders.open_file(copy))
                    opened.callback(os.close, descriptors[-1])
            if not descriptors:
                return found
            self._quarantine.clear(number)
            for descriptor in descriptors:
                reading = _Reading()
                self._take_all(path, descriptor, number, reading)
                self._quarantine.add_all(number, path, reading.refusals, descriptor, self._limits.record_bytes)
                reading.found.quarantined = len(reading.refusals)
                found.add(reading.found)
        return found

    def _read_open(self, path: Path, descriptor: int, *, anew: bool) -> Findings:
        signature = Signature.of(os.fstat(descriptor))
        with self._now_reading.reading(path, signature, "ledger"):
            return self._read_signed(path, descriptor, signature, anew=anew)

    def _read_signed(self, path: Path, descriptor: int, signature: Signature, *, anew: bool) -> Findings:
        source = self._sources.at(path)
        if source is None and (source := self._sources.renamed(signature)):
            self._sources.move(source.id, path)
            self._quarantine.rename(source.id, path)
        if source and source.signature == signature and not anew:
            return Findings()
        number = source.id if source else self._sources.begin(path, signature)
        reading = _Reading()
        if source and not anew and _has_grown(source, signature, descriptor):
            reading.resume, reading.tail = source.resume, source.tail
        start = reading.resume.offset
        if source:
            self._quarantine.clear(number, start)
        if signature.size > self._file_bytes:
            reason = f"{signature.size} bytes are more than data.max_file_megabytes allows: raise it, or split the file"
            reading.refusals.append(Refusal(reason, 0, 0, signature.size))
        else:
            self._take_all(path, descriptor, number, reading)
        if not _stands(reading.resume, signature, Signature.of(os.fstat(descriptor))):
            raise ChangedError(str(path))
        self._quarantine.add_all(number, path, reading.refusals, descriptor, self._limits.record_bytes)
        reading.found.quarantined = len(reading.refusals)
        self._sources.count(number, reading.found, anew=start == 0)
        fingerprint = fingerprint_of(descriptor, reading.resume.offset)
        self._sources.finish(number, signature, reading.resume, fingerprint, reading.tail)
        return reading.found

    def _take_all(self, path: Path, descriptor: int, number: int, reading: _Reading) -> None:
        tail, reading.tail = reading.tail, None
        tail_at = reading.resume.offset
        resume = reading.resume if reading.resume.offset else None
        request = Request(path, number, self._limits, resume)
        with contextlib.closing(self._parser.blocks(request, descriptor)) as blocks:
            for block in blocks:
                self._advance()
                self._take(block, tail if block.first_start == tail_at else None, reading)
                if block.candidates:
                    tail = None
                self._ledger.commit_if_large()
        if reading.is_hopeless:
            reason = f"not one of the first {MOST_REFUSALS} records can be learned: the rest of the file is not read"
            reading.refusals.append(Refusal(reason, 0, 0, 0))
            reading.resume = UNREAD
        elif reading.refused > MOST_REFUSALS:
            more = reading.refused - MOST_REFUSALS
            reading.refusals.append(Refusal(f"{more} more records of this file are refused as well", 0, 0, 0))

    def _take(self, block: Block, tail: Tail | None, reading: _Reading) -> None:
        """Record a block; ``tail`` is what stood where it begins when the file was read last."""
        candidates = block.candidates
        reading.resume = block.resume or reading.resume
        reading.found.contents.note_all(candidates)
        if candidates:
            reading.tail = tail_of(candidates[-1]) if block.is_open else None
        if tail:
            outcome, now = self._dedup.go_on(tail, candidates[0])
            reading.found.count(outcome, 1)
            if len(candidates) == 1 and block.is_open:
                reading.tail = now
            candidates = candidates[1:]
        for outcome, number in self._dedup.add_all(candidates).items():
            reading.found.count(outcome, number)
        reading.refused += block.refused
        reading.is_hopeless = block.is_hopeless
        reading.refusals += (Refusal(each.reason, each.line, each.start, each.end) for each in block.refusals)
        if block.problem:
            reading.refusals.append(Refusal(block.problem, 0, 0, 0))

    def _refuse_unopened(self, path: Path, reason: str) -> Findings:
        """What cannot be opened stays unread, so every scan tries again; the refusal is recorded once.

        A folder that was refused and can be listed by now needs no refusal any more.
        """
        try:
            signature = Signature.of(path.lstat())
        except OSError:
            signature = Signature(0, 0, -1, 0)
        known = self._sources.at(path)
        if folders.can_be_listed(path):
            if known:
                self._quarantine.clear(known.id)
            return Findings()
        number = known.id if known else self._sources.begin(path, signature)
        if self._quarantine.reasons(number) == [reason]:
            return Findings()
        self._quarantine.clear(number)
        self._quarantine.add(number, path, Refusal(reason, 0, 0, 0))
        return Findings(quarantined=1)


def _has_grown(source: Source, signature: Signature, descriptor: int) -> bool:
    before = source.signature
    same_file = (before.device, before.inode) == (signature.device, signature.inode)
    if not same_file or signature.size < before.size:
        return False
    return fingerprint_of(descriptor, source.resume.offset) == source.fingerprint


def _stands(resume: Resume, before: Signature, after: Signature) -> bool:
    """Whether what was read is still so: the file is as before, or of a kind that may grow while it is read."""
    known = registry.find(resume.format)
    return after == before or (known is not None and known.may_grow and after.size > before.size)

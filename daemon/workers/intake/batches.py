"""Reads many files, several in one transaction, so that none of them costs the others anything."""

import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path

from daemon import log
from daemon.workers.intake import folders
from daemon.workers.intake.caution import Caution
from daemon.workers.intake.file_reader import ChangedError, FileReader
from daemon.workers.intake.inbox import Inbox
from daemon.workers.intake.ledger.database import StorageError
from daemon.workers.intake.ledger.ledger import Ledger
from daemon.workers.intake.ledger.sources import Findings
from engine.data.storable import storable, storable_path

_logger = log.get(__name__)
_BATCH_SECONDS = 0.5


class StoppingError(Exception):
    """The supervisor asked for an end while a file was read; what was not written down is read again next time."""


class _Waiting:
    """Files that wait to be read, suspects last; never all of them in memory."""

    def __init__(self, files: Iterable[Path], is_suspect: Callable[[Path], bool]) -> None:
        self._files = iter(files)
        self._is_suspect = is_suspect
        self._first: deque[Path] = deque()
        self._suspects: deque[Path] = deque()

    def next(self, *, beside_others: bool = False) -> Path | None:
        """Take the next one; with ``beside_others`` none that is to be read alone."""
        if self._first:
            return self._first.popleft()
        for path in self._files:
            if not self._is_suspect(path):
                return path
            self._suspects.append(path)
        return self._suspects.popleft() if self._suspects and not beside_others else None

    def put_back(self, files: list[Path]) -> None:
        """Let these be the next ones."""
        self._first.extendleft(reversed(files))


class Batches:
    """Reads files that the inbox names into the ledger. A file that changes meanwhile is put back."""

    def __init__(
        self, ledger: Ledger, reader: FileReader, inbox: Inbox, caution: Caution, committed: Callable[[], None]
    ) -> None:
        """``committed`` is called after every transaction."""
        self._ledger = ledger
        self._reader = reader
        self._inbox = inbox
        self._caution = caution
        self._committed = committed

    def read(self, files: Iterable[Path]) -> Findings:
        """Read files, suspects last and alone: whatever they do is not done to others.

        Raises:
            StoppingError: the service stops.
            StorageError: the disk is full or cannot be written.
        """
        findings = Findings()
        waiting = _Waiting(files, self._caution.is_suspect)
        while (first := waiting.next()) is not None:
            batch: list[Path] = []
            found = Findings()
            until = time.monotonic() + _BATCH_SECONDS
            path: Path | None = first
            try:
                with self._ledger.transaction():
                    while path is not None:
                        batch.append(path)
                        found.add(self._read_one(path))
                        path = waiting.next(beside_others=True) if time.monotonic() < until else None
            except ChangedError:
                self._inbox.put_back(batch.pop())
                waiting.put_back(batch)
                continue
            except (StoppingError, StorageError):
                raise
            except Exception as error:
                findings.add(self._set_aside(batch.pop(), error))
                waiting.put_back(batch)
                continue
            for path in batch:
                self._inbox.forget(path)
            findings.add(found)
            self._committed()
            _logger.info("read", files=len(batch), added=found.added, duplicates=found.duplicates, held=found.held)
        return findings

    def retry_quarantine(self) -> Findings:
        """Read refused files again from their start; where one is gone, what was kept of it.

        Raises:
            StoppingError, StorageError: as `read`.
        """
        findings = Findings()
        with self._ledger.transaction():
            self._caution.give_another_chance()
        for number, path in self._ledger.quarantine.sources():
            try:
                with self._ledger.transaction():
                    if folders.is_gone(path):
                        findings.add(self._reader.read_copies(number, path))
                    else:
                        findings.add(self._read_one(path, anew=True))
            except ChangedError:
                self._inbox.put_back(path)
            except (StoppingError, StorageError):
                raise
            except Exception as error:
                findings.add(self._set_aside(path, error))
        self._committed()
        return findings

    def account_for_death(self) -> None:
        """Suspect the file during whose reading the last intake died, or set it aside.

        Raises:
            StorageError: as `read`.
        """
        with self._ledger.transaction():
            self._caution.account_for_death(self._reader.set_aside)
        self._caution.now_reading.clear()
        self._committed()

    def _read_one(self, path: Path, *, anew: bool = False) -> Findings:
        try:
            found = self._reader.read(path, anew=anew)
        except FileNotFoundError:
            found = Findings()
        self._caution.clear(path)
        if found.quarantined:
            _logger.warning(
                "refused; 'thorctl quarantine' says why", file=storable_path(path), records=found.quarantined
            )
        return found

    def _set_aside(self, path: Path, error: Exception) -> Findings:
        """Refuse a file whose reading raised what nobody expected. What was read of it meanwhile is undone."""
        _logger.error("reading a file failed; it is set aside", file=storable_path(path), exc_info=error)
        with self._ledger.transaction():
            return self._reader.set_aside(path, unexpected(error), error)


def unexpected(error: Exception) -> str:
    """What is said of a file whose reading raised what nobody expected."""
    return storable(f"reading it failed: {type(error).__name__}: {error}; this is a fault of thord: please report it")

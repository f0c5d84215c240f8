"""The loop of the intake: commands of the supervisor, files that changed, and waiting for a full disk to have room."""

import queue
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from control.paths import is_ignored
from daemon import log
from daemon.messages import (
    Collect,
    Collected,
    Counts,
    Failure,
    Message,
    Reload,
    Retake,
    Retaken,
    Scan,
    Scanned,
    Settle,
    Settled,
    ToWorker,
    Unwatched,
)
from daemon.workers.intake import collect, folders
from daemon.workers.intake.caution import Caution
from daemon.workers.intake.cycles import Cycles
from daemon.workers.intake.folders import Signature
from daemon.workers.intake.ledger import Ledger, StorageError, open_database
from daemon.workers.intake.pending import Pending, age_of
from daemon.workers.intake.quarantine import Quarantine
from daemon.workers.intake.reader import ChangedError, Reader, Tally
from daemon.workers.intake.sources import Sources
from daemon.workers.intake.watcher import Watcher
from daemon.workers.runtime import Context
from engine import artifacts
from engine.data.records.limits import Limits
from engine.data.segments import Segments
from engine.data.storable import storable_path

_logger = log.get(__name__)
_BATCH_SECONDS = 0.5
RETRY_SECONDS = (2.0, 60.0)
"""How long a disk that cannot be written is left alone: at first, and at most."""


class StoppingError(Exception):
    """The supervisor asked for an end while a file was read; what was not written down is read again next time."""


class Intake:
    """Everything the intake holds open, and what it does."""

    def __init__(self, context: Context) -> None:
        """Open the ledger.

        Raises:
            LedgerError: it is damaged or of a newer thord.
            StorageError: it cannot be written.
        """
        self._context = context
        self._channel = context.channel
        self._paths = context.paths
        self._settings = context.settings
        self._ledger = Ledger(open_database(self._paths.ledger), Segments(self._paths.segments))
        self._sources = Sources(self._ledger.database)
        self._cycles = Cycles(self._ledger.database)
        self._caution = Caution(self._ledger.database, self._paths.now_reading)
        self._pending = Pending(self._settings.data.settle_seconds)
        self._watcher = Watcher(wake=lambda: self._channel.commands.put(None))
        self._sent: Counts | None = None
        self._told_unwatched: dict[str, str] | None = None
        self._retry_at: float | None = None
        self._retry_seconds = RETRY_SECONDS[0]
        self._quarantine, self._reader = self._make_reader()

    def run(self) -> None:
        """Work until asked to stop."""
        artifacts.sweep_drafts(self._paths.snapshots)
        self._watch()
        self._channel.ready()
        self._tell()
        try:
            self._guarded(self._account_for_death)
            self._tell()
            self._guarded(self._scan)
            while not self._channel.stopping.is_set():
                command = self._next_command()
                if command is not None:
                    self._obey(command)
                self._note_changes()
                if self._retry_at is None:
                    self._guarded(self._read_due)
                self._retry()
                self._channel.idle()
        except StoppingError:
            pass
        self._watcher.stop()
        self._ledger.close()

    # What wakes it ---------------------------------------------------------------------------------------------------

    def _next_command(self) -> ToWorker | None:
        """The next command; none when files changed, a wait is over or the worker should stop."""
        at = self._pending.next_due() if self._retry_at is None else self._retry_at
        timeout = None if at is None else max(0.0, at - time.monotonic())
        try:
            return self._channel.commands.get(timeout=timeout)
        except queue.Empty:
            return None

    def _note_changes(self) -> None:
        for path in self._watcher.take():
            if self._is_wanted(path):
                self._pending.note(path, time.monotonic())

    def _is_wanted(self, path: Path) -> bool:
        if folders.is_own(path, self._paths):
            return False
        roots = [root for root in self._roots() if root in path.parents]
        return any(not any(map(is_ignored, path.relative_to(root).parts)) for root in roots)

    # Commands --------------------------------------------------------------------------------------------------------

    def _obey(self, command: ToWorker) -> None:
        """Do what is asked and answer; where the disk cannot be written the answer says so, and may be asked again."""
        request = _number_of(command)
        try:
            answer = self._answer_to(command)
        except collect.CollectError as error:
            answer = Failure(request=request, reason=str(error), retry=False)
        except (StorageError, OSError) as error:
            self._note_full_disk(error)
            answer = Failure(request=request, reason=f"the disk cannot be written: {error}", retry=True)
        self._tell()
        if answer is not None:
            self._channel.send(answer)

    def _answer_to(self, command: ToWorker) -> Message | None:
        match command:
            case Collect():
                return self._collect(command)
            case Settle(cycle=cycle, learned=learned, count_try=count_try, why=why):
                tries = self._settings.data.max_tries
                with self._ledger.transaction():
                    self._cycles.settle(cycle, tries, learned=learned, count_try=count_try, why=why)
                return Settled(cycle=cycle)
            case Retake(request=request, source=source):
                with self._ledger.transaction():
                    return Retaken(request=request, conversations=self._cycles.retake(source))
            case Scan(request=request):
                tally = self._scan()
                if command.retry_quarantine:
                    tally.add(self._retry_quarantine())
                read_as: Counter[str] = Counter()
                if command.files:
                    tally, read_as = self._outcome_of(command.files)
                return Scanned(
                    request=request,
                    added=tally.added,
                    duplicates=tally.duplicates,
                    quarantined=tally.quarantined,
                    read_as=read_as,
                )
            case Reload():
                self._reload()
            case _:
                _logger.warning("a command that is not for the intake", command=command.kind)
        return None

    def _outcome_of(self, files: tuple[str, ...]) -> tuple[Tally, Counter[str]]:
        """What became of files, whoever had them read: this scan, or the watcher before it."""
        tally, read_as = Tally(), Counter[str]()
        for file in files:
            if outcome := self._sources.outcome(Path(file)):
                tally.add(Tally(outcome.added, outcome.duplicates, outcome.refused))
                if outcome.added or outcome.duplicates:
                    read_as[outcome.format] += 1
        return tally, read_as

    def _collect(self, command: Collect) -> Collected:
        if command.files:
            return collect.from_files(
                command, self._paths, self._settings, self._advance, self._caution.reading_for_cycle
            )
        self._scan()
        return collect.from_ledger(command, self._ledger, self._cycles, self._paths, self._settings, self._advance)

    def _reload(self) -> None:
        self._settings = self._context.reread_settings()
        self._pending.settle_seconds = self._settings.data.settle_seconds
        self._quarantine, self._reader = self._make_reader()
        self._watch()
        self._scan()

    # Reading ---------------------------------------------------------------------------------------------------------

    def _scan(self) -> Tally:
        """Look through every folder. Files that just changed are waited for, but not those that never rest."""
        self._watch()
        tally = Tally()
        deadline = time.monotonic() + 2 * self._settings.data.settle_seconds
        complete = [path for root in self._roots() for path in folders.walk(root, self._paths) if self._is_news(path)]
        tally.add(self._read_all(complete))
        while self._pending and (due := self._pending.next_due()) is not None and due <= deadline:
            if self._channel.stopping.wait(max(0.0, due - time.monotonic())):
                raise StoppingError
            tally.add(self._read_due())
        return tally

    def _is_news(self, path: Path) -> bool:
        """Whether a file is complete and not as it was when it was read; one that is not complete is waited for."""
        try:
            signature = Signature.of(path.lstat())
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:  # of a folder that may not be entered, or too deep down: reading it says so
            return True
        if self._sources.signature_at(path) == signature:
            self._pending.forget(path)
            return False
        return self._pending.is_complete(path, signature, age_of(signature), time.monotonic())

    def _read_due(self) -> Tally:
        """Read the files whose wait is over, and find those in new folders."""
        complete: list[Path] = []
        for path in self._pending.due(time.monotonic()):
            if folders.is_folder(path):
                self._pending.forget(path)
                complete += [file for file in folders.walk(path, self._paths) if self._is_news(file)]
            elif self._is_news(path):
                complete.append(path)
            elif folders.is_gone(path):
                self._pending.forget(path)
        return self._read_all(complete)

    def _read_all(self, files: Iterable[Path]) -> Tally:
        """Read files, several in one transaction. A file that changes meanwhile is put back.

        Suspects come last and alone: whatever they do is not done to others.
        """
        tally = Tally()
        waiting = sorted(dict.fromkeys(files), key=self._caution.is_suspect)
        while waiting:
            batch: list[Path] = []
            found = Tally()
            started = time.monotonic()
            try:
                with self._ledger.transaction():
                    while waiting and (not batch or self._has_room(waiting[0], started)):
                        batch.append(waiting.pop(0))
                        found.add(self._read_one(batch[-1]))
            except ChangedError:
                self._pending.note(batch.pop(), time.monotonic())
                waiting = batch + waiting
                continue
            except (StoppingError, StorageError):
                raise
            except Exception as error:
                tally.add(self._set_aside(batch.pop(), error))
                waiting = batch + waiting
                continue
            for path in batch:
                self._pending.forget(path)
            tally.add(found)
            self._tell()
            _logger.info("read", files=len(batch), added=found.added, duplicates=found.duplicates)
        return tally

    def _has_room(self, path: Path, started: float) -> bool:
        """Whether the batch that began then takes this file too."""
        return time.monotonic() - started < _BATCH_SECONDS and not self._caution.is_suspect(path)

    def _read_one(self, path: Path, *, anew: bool = False) -> Tally:
        try:
            tally = self._reader.read(path, anew=anew)
        except FileNotFoundError:
            tally = Tally()
        self._caution.clear(path)
        if tally.quarantined:
            _logger.warning(
                "refused; 'thorctl quarantine' says why", file=storable_path(path), records=tally.quarantined
            )
        return tally

    def _retry_quarantine(self) -> Tally:
        """Read refused files again from their start; where one is gone, what was kept of it."""
        tally = Tally()
        with self._ledger.transaction():
            self._caution.give_another_chance()
        for number, path in self._quarantine.sources():
            try:
                with self._ledger.transaction():
                    if folders.is_gone(path):
                        tally.add(self._reader.read_copies(number, path))
                    else:
                        tally.add(self._read_one(path, anew=True))
            except ChangedError:
                self._pending.note(path, time.monotonic())
            except (StoppingError, StorageError):
                raise
            except Exception as error:
                tally.add(self._set_aside(path, error))
        self._tell()
        return tally

    # What a file did to it -------------------------------------------------------------------------------------------

    def _set_aside(self, path: Path, error: Exception) -> Tally:
        """Refuse a file whose reading raised what nobody expected. What was read of it meanwhile is undone."""
        _logger.error("reading a file failed; it is set aside", file=storable_path(path), exc_info=error)
        with self._ledger.transaction():
            return self._reader.set_aside(path, collect.unexpected(error), error)

    def _account_for_death(self) -> None:
        with self._ledger.transaction():
            self._caution.account_for_death(self._reader.set_aside)
        self._caution.now_reading.clear()

    # What it stands on -----------------------------------------------------------------------------------------------

    def _roots(self) -> list[Path]:
        return folders.roots_of(self._paths, self._settings.paths.watch)

    def _watch(self) -> None:
        try:
            folders.make_inbox(self._paths)
        except OSError as error:
            _logger.error("the inbox cannot be made", folder=str(self._paths.inbox), reason=str(error))  # noqa: TRY400
        self._watcher.watch(self._roots())

    def _make_reader(self) -> tuple[Quarantine, Reader]:
        data = self._settings.data
        limits = Limits(record_bytes=data.max_record_megabytes << 20)
        quarantine = Quarantine(self._ledger.database, self._paths.quarantine, limits.record_bytes)
        file_bytes = data.max_file_megabytes << 20
        share = data.held_out_share
        reader = Reader(self._ledger, quarantine, limits, file_bytes, share, self._advance, self._caution.now_reading)
        return quarantine, reader

    def _advance(self) -> None:
        if self._channel.stopping.is_set():
            raise StoppingError
        self._channel.advance("reading")

    def _tell(self) -> None:
        """Say how many conversations there are, and which folders are not watched, where that has changed."""
        counts = self._ledger.counts()
        if counts != self._sent:
            self._sent = counts
            self._channel.send(counts)
        unwatched = {storable_path(root): reason for root, reason in self._watcher.unwatched.items()}
        if unwatched != self._told_unwatched:
            self._told_unwatched = unwatched
            self._channel.send(Unwatched(folders=unwatched))

    def _guarded(self, work: Callable[[], object]) -> None:
        """Do something that writes; on a full or read-only disk leave it for later, with everything unread kept."""
        try:
            work()
        except StorageError as error:
            self._note_full_disk(error)

    def _note_full_disk(self, error: StorageError | OSError) -> None:
        if self._retry_at is not None:
            return
        self._retry_at = time.monotonic() + self._retry_seconds
        log_full_disk(error, self._retry_seconds)
        self._retry_seconds = min(2 * self._retry_seconds, RETRY_SECONDS[1])

    def _retry(self) -> None:
        if self._retry_at is None or time.monotonic() < self._retry_at:
            return
        self._retry_at = None
        self._guarded(self._scan)
        if self._retry_at is None:
            self._retry_seconds = RETRY_SECONDS[0]
            _logger.info("the disk can be written again")


def _number_of(command: ToWorker) -> int:
    """What a failure to do it is told apart by."""
    match command:
        case Collect(cycle=number) | Settle(cycle=number) | Scan(request=number):
            return number
    return 0


def log_full_disk(error: Exception, again_in_seconds: float) -> None:
    """Say what is wrong with the disk, and that it does no harm."""
    _logger.error(
        "nothing can be written: free space or make the disk writable; what is unread stays so, nothing is lost",
        reason=str(error),
        again_in_seconds=again_in_seconds,
    )

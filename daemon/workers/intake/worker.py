"""The loop of the intake: it waits for a command or a changed file, has the file read, and answers the command."""

import queue
import time

from daemon import log
from daemon.messages import (
    UNASKED,
    Collect,
    Collected,
    CollectFiles,
    Command,
    Counts,
    Erase,
    Failure,
    Forget,
    Message,
    Reload,
    Retake,
    Retaken,
    Scan,
    Scanned,
    Settle,
    Settled,
    ToWorker,
    Unlearn,
    Unlearned,
    Unwatched,
)
from daemon.workers.intake import named_files, outcomes, snapshots
from daemon.workers.intake.batches import Batches, StoppingError
from daemon.workers.intake.caution import Caution
from daemon.workers.intake.file_reader import FileReader
from daemon.workers.intake.forgetting.erasing import erase
from daemon.workers.intake.forgetting.taking_out import take_out
from daemon.workers.intake.inbox import Inbox
from daemon.workers.intake.ledger import held_out_of_tasks
from daemon.workers.intake.ledger.database import StorageError
from daemon.workers.intake.ledger.ledger import Ledger
from daemon.workers.intake.ledger.selection import NotKnownError
from daemon.workers.intake.ledger.sources import Findings
from daemon.workers.intake.named_files import CollectError
from daemon.workers.intake.parsing.parser import Parser
from daemon.workers.intake.storage_retry import StorageRetry
from daemon.workers.runtime import Context
from engine import artifacts
from engine.data.storable import storable_path

_logger = log.get(__name__)


class Intake:
    """Everything the intake holds open, and what it does."""

    def __init__(self, context: Context) -> None:
        """Open the ledger and put together what reads the inbox; `run` begins.

        Raises:
            LedgerError: it is damaged or of a newer thord.
            StorageError: it cannot be written.
        """
        self._context = context
        self._channel = context.channel
        self._paths = context.paths
        self._settings = context.settings
        self._ledger = Ledger.open(self._paths.ledger, self._paths.segments, self._paths.quarantine)
        self._inbox = Inbox(
            self._paths,
            self._ledger.sources,
            self._settings.data.settle_seconds,
            wake=lambda: self._channel.commands.put(None),
        )
        self._caution = Caution(self._ledger.suspects, self._paths.now_reading)
        self._parser = Parser()
        self._batches = self._make_batches()
        self._storage = StorageRetry()
        self._sent: Counts | None = None
        self._told_unwatched: dict[str, str] | None = None

    def run(self) -> None:
        """Work until asked to stop."""
        artifacts.sweep_drafts(self._paths.snapshots)
        self._watch()
        self._channel.ready()
        self._tell()
        try:
            self._storage.guard(self._batches.account_for_death)
            self._storage.guard(self._take_up_tasks)
            self._storage.guard(self._scan)
            while not self._channel.stopping.is_set():
                command = self._next_command()
                if command is not None:
                    self._obey(command)
                self._inbox.note_changes()
                if self._storage.at is None:
                    self._storage.guard(lambda: self._batches.read(self._inbox.due()))
                self._storage.retry(self._scan)
                self._channel.idle()
        except StoppingError:
            pass
        self._inbox.stop()
        self._parser.stop()
        self._ledger.close()

    def _next_command(self) -> ToWorker | None:
        """The next command; none when files changed, a wait is over or the worker should stop."""
        at = self._inbox.next_due() if self._storage.at is None else self._storage.at
        timeout = None if at is None else max(0.0, at - time.monotonic())
        try:
            return self._channel.commands.get(timeout=timeout)
        except queue.Empty:
            return None

    # Commands --------------------------------------------------------------------------------------------------------

    def _obey(self, command: ToWorker) -> None:
        """Do what is asked and answer; where the disk cannot be written the answer says so, and may be asked again."""
        asked = command.id if isinstance(command, Command) else UNASKED
        try:
            answer = self._answer_to(command)
        except (CollectError, NotKnownError) as error:
            answer = Failure(to=asked, reason=str(error), retry=False)
        except (StorageError, OSError) as error:
            self._storage.failed(error)
            answer = Failure(to=asked, reason=f"the disk cannot be written: {error}", retry=True)
        self._tell()
        if answer is not None:
            self._channel.send(answer)

    def _answer_to(self, command: ToWorker) -> Message | None:
        match command:
            case Collect() | CollectFiles():
                return self._collect(command)
            case Settle(id=asked, cycle=cycle, learned=learned, count_try=count_try, why=why):
                tries = self._settings.data.max_tries
                with self._ledger.transaction():
                    self._ledger.assignments.settle(cycle, tries, learned=learned, count_try=count_try, why=why)
                return Settled(to=asked)
            case Retake(id=asked, source=source):
                with self._ledger.transaction():
                    return Retaken(to=asked, conversations=self._ledger.assignments.retake(source))
            case Scan():
                return self._scanned(command)
            case Forget():
                return take_out(command, self._ledger, self._paths)
            case Erase():
                return erase(command, self._ledger, self._paths, self._settings, self._advance)
            case Unlearn(id=asked, cycles=cycles):
                with self._ledger.transaction():
                    return Unlearned(to=asked, samples=self._ledger.assignments.unlearn(cycles))
            case Reload():
                self._reload()
            case _:
                _logger.warning("a command that is not for the intake", command=command.kind)
        return None

    def _collect(self, command: Collect | CollectFiles) -> Collected:
        if isinstance(command, CollectFiles) or command.files:
            return named_files.write_snapshot(
                command,
                self._paths,
                self._settings,
                self._advance,
                self._caution.reading_for_cycle,
                self._ledger.forgotten.holds,
            )
        self._scan()
        return snapshots.write_snapshot(command, self._ledger, self._paths, self._settings, self._advance)

    def _scanned(self, command: Scan) -> Scanned:
        found = self._scan()
        if command.retry_quarantine:
            found.add(self._batches.retry_quarantine())
        if command.files:
            return outcomes.of_files(command, self._ledger.sources)
        return Scanned(
            to=command.id,
            added=found.added,
            duplicates=found.duplicates,
            held=found.held,
            quarantined=found.quarantined,
        )

    def _reload(self) -> None:
        self._settings = self._context.reread_settings()
        self._batches = self._make_batches()
        self._take_up_tasks()
        self._scan()

    # What it does ----------------------------------------------------------------------------------------------------

    def _scan(self) -> Findings:
        """Look through every folder. Files that just changed are waited for, but not those that never rest."""
        self._watch()
        deadline = time.monotonic() + 2 * self._settings.data.settle_seconds
        found = self._batches.read(self._inbox.everything())
        while (due := self._inbox.next_due()) is not None and due <= deadline:
            if self._channel.stopping.wait(max(0.0, due - time.monotonic())):
                raise StoppingError
            found.add(self._batches.read(self._inbox.due()))
        return found

    def _take_up_tasks(self) -> None:
        """Take up the rows of tasks that were not known when they came."""
        with self._ledger.transaction():
            share = self._settings.data.held_out_share
            taken = held_out_of_tasks.take_up(self._ledger, self._settings.all_tasks, share)
        if taken:
            _logger.info("rows are taken up whose tasks are known now", number=taken)

    def _watch(self) -> None:
        self._inbox.watch(self._settings.paths.watch, self._settings.data.settle_seconds)

    def _make_batches(self) -> Batches:
        note = self._caution.now_reading
        settings = self._settings
        reader = FileReader(self._ledger, settings.data, note, self._parser, self._advance, settings.all_tasks)
        return Batches(self._ledger, reader, self._inbox, self._caution, committed=self._tell)

    def _advance(self) -> None:
        if self._channel.stopping.is_set():
            raise StoppingError
        self._channel.advance("reading")

    def _tell(self) -> None:
        """Say how many samples there are, and which folders are not watched, where that has changed."""
        counts = self._ledger.counts()
        if counts != self._sent:
            self._sent = counts
            self._channel.send(counts)
        unwatched = {storable_path(root): reason for root, reason in self._inbox.unwatched.items()}
        if unwatched != self._told_unwatched:
            self._told_unwatched = unwatched
            self._channel.send(Unwatched(folders=unwatched))

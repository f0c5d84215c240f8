"""The ledger: its tables, and the one transaction that keeps database and segments in step."""

import contextlib
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from daemon import sqlite
from daemon.messages import Counts
from daemon.workers.forgotten import Forgotten
from daemon.workers.intake.ledger.assignments import Assignments
from daemon.workers.intake.ledger.catalog import Catalog
from daemon.workers.intake.ledger.database import StorageError, open_database
from daemon.workers.intake.ledger.forgettings import Forgettings
from daemon.workers.intake.ledger.quarantine import Quarantine
from daemon.workers.intake.ledger.samples import Samples
from daemon.workers.intake.ledger.selection import Chosen, Wanted, choose
from daemon.workers.intake.ledger.sources import Sources
from daemon.workers.intake.ledger.suspects import Suspects
from engine.data.segments import Segments

_MOST_WAITING_BYTES = 16 << 20


class Ledger:
    """Samples in database and segments, kept in step: what the database names is on disk.

    Attributes:
        samples, sources, quarantine, suspects, assignments, forgotten, forgettings: the tables. Calls that write belong
            inside a transaction.
        catalog: what is in them, for those who look for samples.
    """

    def __init__(self, database: sqlite3.Connection, segments: Segments, quarantine: Path) -> None:
        self._database = database
        self._segments = segments
        self.samples = Samples(database, segments)
        self.sources = Sources(database)
        self.quarantine = Quarantine(database, quarantine)
        self.suspects = Suspects(database)
        self.assignments = Assignments(database, self.samples)
        self.forgotten = Forgotten(database)
        self.forgettings = Forgettings(database, self.forgotten, self.quarantine)
        self.catalog = Catalog(database)

    @classmethod
    def open(cls, file: Path, segments: Path, quarantine: Path) -> "Ledger":
        """The ledger at ``file``, with the folders of its segments and of what it refused.

        Raises:
            LedgerError: it is damaged, or was written by a newer thord.
            StorageError: it cannot be opened for writing.
        """
        return cls(open_database(file), Segments(segments), quarantine)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, segments first. Also undone where the block raises.

        Raises:
            StorageError: the disk is full or cannot be written.
        """
        try:
            self._database.execute("BEGIN IMMEDIATE")
            yield
            self._segments.sync()
            self._database.execute("COMMIT")
        except (sqlite3.OperationalError, OSError) as error:
            self._undo()
            raise StorageError(f"the ledger cannot be written: {error}") from error
        except BaseException:
            self._undo()
            raise

    def commit_if_large(self) -> None:
        """Inside a long transaction, at a point where what was done may stand: write it once it is much.

        Raises:
            sqlite3.OperationalError, OSError: as `transaction`, which handles them.
        """
        if self._segments.waiting_bytes > _MOST_WAITING_BYTES:
            self._segments.sync()
            self._database.execute("COMMIT")
            self._database.execute("BEGIN IMMEDIATE")

    def counts(self) -> Counts:
        """How many samples there are in each state and of each kind, and how many records were refused."""
        by_state: Counter[str] = Counter()
        by_kind: Counter[str] = Counter()
        for state, kind, number in self._database.execute("SELECT state, kind, number FROM counts"):
            by_state[state] += number
            if kind:
                by_kind[kind] += number
        return Counts.model_validate({**by_state, "by_kind": by_kind})

    def choose(self, wanted: Wanted) -> Chosen:
        """Which samples somebody means.

        Raises:
            NotKnownError: an ID or a file is not known.
        """
        return choose(wanted, self.catalog, self._segments)

    def erase_what_nothing_names(self) -> int:
        """Blank out, in the segments, texts that no table names any more; how many bytes. Outside of a transaction.

        Raises:
            OSError: the disk cannot be written; what is erased by then stays so.
        """
        return self._segments.erase_all_but(self.forgettings.kept())

    def compact(self) -> None:
        """Rewrite the database without its free pages, and empty its log. Outside of a transaction.

        Raises:
            StorageError: the disk is full or cannot be written.
        """
        try:
            self.forgettings.compact()
        except sqlite3.OperationalError as error:
            raise StorageError(f"the ledger cannot be written: {error}") from error

    def close(self) -> None:
        """Let go of the files."""
        self._segments.close()
        sqlite.close(self._database)

    def _undo(self) -> None:
        self._segments.rollback()
        if self._database.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                self._database.execute("ROLLBACK")

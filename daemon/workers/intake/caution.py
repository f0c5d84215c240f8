"""How no file ends the intake twice: what is read is noted, and suspects are read last, alone, or not at all."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from daemon import log
from daemon.workers.intake.folders import Signature, UnreadableError
from daemon.workers.intake.ledger import suspects
from daemon.workers.intake.ledger.suspects import Suspects
from daemon.workers.intake.now_reading import NowReading
from engine.data.storable import storable_path

_logger = log.get(__name__)


class Caution:
    """The note of what is being read, and the table of suspects. Calls that write belong inside a transaction.

    Attributes:
        now_reading: the note.
    """

    def __init__(self, table: Suspects, note: Path) -> None:
        self.now_reading = NowReading(note, _supervisor())
        self._table = table
        self._suspects: set[Path] = set()

    def account_for_death(self, set_aside: Callable[[Path, str], object]) -> None:
        """Suspect the file that the last intake was reading when it died; ``set_aside`` what killed it too often."""
        note = self.now_reading.left()
        if note is not None:
            alone = note.supervisor == self.now_reading.supervisor
            self._table.count(note.file, note.signature, suspects.ALONE if alone else suspects.TOGETHER)
            if note.purpose == "ledger" and self._table.is_poison(note.file, note.signature):
                _logger.error("reading a file ended the intake; it is set aside", file=storable_path(note.file))
                set_aside(note.file, suspects.REASON)
        self._suspects = self._table.paths()

    def is_suspect(self, path: Path) -> bool:
        """Whether the intake died of it before, perhaps."""
        return path in self._suspects

    def clear(self, path: Path) -> None:
        """Note that a file was read to its end, so it is no longer suspect."""
        if path in self._suspects:
            self._table.clear(path)

    def give_another_chance(self) -> None:
        """Let every suspect be read once more."""
        self._table.give_another_chance()

    @contextlib.contextmanager
    def reading_for_cycle(self, path: Path, signature: Signature) -> Iterator[None]:
        """While a file is read that somebody named for one cycle.

        Raises:
            UnreadableError: it ended the intake too often.
        """
        if self._table.is_poison(path, signature):
            raise UnreadableError(suspects.REASON)
        with self.now_reading.reading(path, signature, "cycle"):
            yield


def _supervisor() -> str:
    """Whose child this process is, told apart from any other process of the same number."""
    parent = psutil.Process(os.getppid())
    return f"{parent.pid} {parent.create_time()}"

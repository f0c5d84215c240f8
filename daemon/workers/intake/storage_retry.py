"""What happens while the disk cannot be written: everything unread is left so, and tried again, ever less often."""

import time
from collections.abc import Callable

from daemon import log
from daemon.workers.intake.ledger.database import StorageError

_logger = log.get(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 2.0, 60.0
"""Seconds for which a disk that cannot be written is left alone: at first, and at most."""


class StorageRetry:
    """When to try again.

    Attributes:
        at: monotonic seconds; null while the disk can be written, as far as is known.
    """

    def __init__(self) -> None:
        self.at: float | None = None
        self._pause = FIRST_PAUSE

    def guard(self, work: Callable[[], object]) -> None:
        """Do something that writes; where the disk refuses, leave it for later."""
        try:
            work()
        except StorageError as error:
            self.failed(error)

    def failed(self, error: StorageError | OSError) -> None:
        """The disk refused: wait, twice as long each time."""
        if self.at is not None:
            return
        self.at = time.monotonic() + self._pause
        log_full_disk(error, self._pause)
        self._pause = min(2 * self._pause, LONGEST_PAUSE)

    def retry(self, work: Callable[[], object]) -> None:
        """Try ``work`` again where the wait is over."""
        if self.at is None or time.monotonic() < self.at:
            return
        self.at = None
        self.guard(work)
        if self.at is None:
            self._pause = FIRST_PAUSE
            _logger.info("the disk can be written again")


def log_full_disk(error: Exception, again_in_seconds: float) -> None:
    """Say what is wrong with the disk, and that it does no harm."""
    _logger.error(
        "nothing can be written: free space or make the disk writable; unread files wait, and nothing is lost",
        reason=str(error),
        again_in_seconds=again_in_seconds,
    )

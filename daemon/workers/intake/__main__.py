"""``python -m daemon.workers.intake``: started by the supervisor."""

from daemon import log
from daemon.process_exit import leave
from daemon.workers import runtime
from daemon.workers.intake.ledger.database import LedgerError, StorageError
from daemon.workers.intake.storage_retry import FIRST_PAUSE, LONGEST_PAUSE, log_full_disk
from daemon.workers.intake.worker import Intake
from daemon.workers.runtime import Context


def main() -> int:
    """Work until asked to stop; the exit status."""
    context = runtime.start()
    try:
        intake = _open(context)
    except LedgerError as error:
        log.get(__name__).critical("the intake cannot start", reason=str(error))
        return 1
    if intake is not None:
        intake.run()
    return 0


def _open(context: Context) -> Intake | None:
    """The intake, as soon as the disk can be written; none when asked to stop before.

    Raises:
        LedgerError: waiting would not help.
    """
    pause = FIRST_PAUSE
    while True:
        try:
            return Intake(context)
        except StorageError as error:
            log_full_disk(error, pause)
        if context.channel.stopping.wait(pause):
            return None
        pause = min(2 * pause, LONGEST_PAUSE)


if __name__ == "__main__":
    leave(main())

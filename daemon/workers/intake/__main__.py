"""``python -m daemon.workers.intake``: started by the supervisor."""

import sys

from daemon import log
from daemon.workers import runtime
from daemon.workers.intake.ledger import LedgerError, StorageError
from daemon.workers.intake.worker import Intake


def main() -> int:
    """Work until asked to stop; the exit status."""
    context = runtime.start()
    try:
        intake = Intake(context)
    except (LedgerError, StorageError) as error:
        log.get(__name__).critical("the intake cannot start", reason=str(error))
        return 1
    intake.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())

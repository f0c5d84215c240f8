"""What cycles and promotions ask of the worker processes, and how it can go wrong. `workers` fulfils it."""

from collections.abc import Callable
from typing import Protocol

from daemon.messages import Evaluate, FromWorker, Import, Message, Train, WorkerName

OnMessage = Callable[[FromWorker], None]
"""Called in the loop with every message of one run."""


class WorkerUnavailableError(Exception):
    """The worker is not connected now: it starts, is stopped, or failed."""


class WorkerLostError(Exception):
    """The worker went away before it answered; the message says how it ended."""


class Workers(Protocol):
    """The worker processes, as seen by those who give them work."""

    def send(self, worker: WorkerName, message: Message) -> None:
        """Send one message.

        Raises:
            WorkerUnavailableError: nobody is there to read it.
        """

    async def request(
        self,
        worker: WorkerName,
        message: Message,
        answers: Callable[[FromWorker], bool],
    ) -> FromWorker:
        """Send one message and wait for the first that ``answers`` accepts.

        Raises:
            WorkerUnavailableError: nobody is there to read it.
            WorkerLostError: the worker went away before it answered.
        """
        ...

    async def run(self, worker: WorkerName, command: Train | Import | Evaluate, on_message: OnMessage) -> FromWorker:
        """Spawn a worker for one command, wait for what it came to (or its `Failure`), let it end.

        Cancelling the wait stops the worker.

        Raises:
            WorkerLostError: the process ended without a terminal message.
        """
        ...

    def slowed_to(self, worker: WorkerName) -> float | None:
        """The share of a processor that a run has, where other programs slow it down; None where they do not."""
        ...

    def subscribe(self, callback: Callable[[WorkerName, FromWorker], None]) -> None:
        """Have every message of every worker handed to ``callback``, in the loop."""

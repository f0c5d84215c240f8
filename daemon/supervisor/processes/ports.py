"""What cycles and promotions ask of the worker processes, and how it can go wrong. `pool.WorkerPool` implements it."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from daemon.messages import Answer, Command, FromWorker, Message, WorkerName

A = TypeVar("A", bound=Answer)

OnMessage = Callable[[FromWorker], None]
"""Called in the loop with every message of one run."""


class WorkerUnavailableError(Exception):
    """The worker is not connected now: it starts, is stopped, or failed."""


class WorkerLostError(Exception):
    """The worker went away before it answered; the message says how it ended.

    Attributes:
        cause: that in brief: ``exit N``, ``signal N``, or ``lost`` where it is not known.
    """

    def __init__(self, reason: str, cause: str = "lost") -> None:
        super().__init__(reason)
        self.cause = cause


class CommandFailedError(Exception):
    """The worker could not do what it was asked to; the message says why.

    Attributes:
        retry: another attempt may help.
        diverged: a run did not learn but lost what it knew.
        out_of_memory: there was too little memory.
    """

    def __init__(
        self, reason: str, *, retry: bool = False, diverged: bool = False, out_of_memory: bool = False
    ) -> None:
        super().__init__(reason)
        self.retry = retry
        self.diverged = diverged
        self.out_of_memory = out_of_memory


class Workers(Protocol):
    """The worker processes, as seen by those who give them work."""

    def send(self, worker: WorkerName, message: Message) -> None:
        """Send one message to a worker.

        Raises:
            WorkerUnavailableError: nobody is there to read it.
        """

    async def ask(self, worker: WorkerName, command: Command, *expected: type[A]) -> A:
        """Number a command, send it, and wait for its answer, which is of one of the ``expected`` types.

        Raises:
            WorkerUnavailableError: nobody is there to read it.
            WorkerLostError: the worker went away before it answered.
            CommandFailedError: it could not be done.
        """
        ...

    async def run(self, worker: WorkerName, command: Command, expected: type[A], on_message: OnMessage) -> A:
        """Spawn a worker for one command, wait for its answer, let the worker end.

        Cancelling the wait stops the worker.

        Raises:
            WorkerLostError: the process ended without an answer.
            CommandFailedError: it could not be done.
        """
        ...

    def pid(self, worker: WorkerName) -> int | None:
        """The process of a worker; null where there is none now."""
        ...

    def slowed_to(self, worker: WorkerName) -> float | None:
        """The share of a processor that a run has, where other programs slow it down; None where they do not."""
        ...

    def subscribe(self, callback: Callable[[WorkerName, FromWorker], None]) -> None:
        """Have every message of every worker handed to ``callback``, in the loop."""

"""Commands under way at one worker, each known by the id that its answer names."""

import asyncio
from typing import TypeVar

from daemon.messages import Answer, Failure, FromWorker
from daemon.supervisor.processes.ports import CommandFailedError, WorkerLostError

_A = TypeVar("_A", bound=Answer)


class AwaitedAnswers:
    """The futures of those who wait for an answer of one worker."""

    def __init__(self) -> None:
        self._futures: dict[int, asyncio.Future[Answer]] = {}

    def expect(self, command: int) -> asyncio.Future[Answer]:
        """A future of the answer to the command of that id; the end of the worker breaks it."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._futures[command] = future
        return future

    def forget(self, command: int) -> None:
        """Stop waiting for the answer to this command."""
        future = self._futures.pop(command)
        if not future.cancel() and not future.cancelled():
            future.exception()  # looked at, so that asyncio does not complain

    def heard(self, message: FromWorker) -> None:
        """The worker sent a message; whoever waits for it goes on."""
        if isinstance(message, Answer) and (future := self._futures.get(message.to)) and not future.done():
            future.set_result(message)

    def lost(self, error: WorkerLostError) -> None:
        """The worker has ended: there will be no more answers."""
        for future in self._futures.values():
            if not future.done():
                future.set_exception(error)


def accepted(answer: Answer, expected: tuple[type[_A], ...]) -> _A:
    """The answer, where it is of an expected type.

    Raises:
        CommandFailedError: it is a `Failure`, or belongs to another command.
    """
    if isinstance(answer, expected):
        return answer
    if isinstance(answer, Failure):
        raise CommandFailedError(
            answer.reason, retry=answer.retry, diverged=answer.diverged, out_of_memory=answer.out_of_memory
        )
    raise CommandFailedError(f"the worker gave an answer that does not belong here: {type(answer).__name__}")

"""Asking the intake, which may be away: whoever asks waits for it."""

import asyncio
import contextlib

from daemon.messages import Collect, Collected, Failure, FromWorker, Ready, Settle, Settled, WorkerName
from daemon.supervisor.processes.ports import Workers, WorkerUnavailableError

PAUSE = 5.0
"""Seconds after which an intake that is away is asked again, even where it did not report."""


class IntakeRequests:
    """Commands about cycles, each with its answer."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._came_up = asyncio.Event()
        workers.subscribe(self._observe)

    async def ask(self, command: Collect | Settle) -> Collected | Settled | Failure:
        """Send a command as soon as the intake is there; its answer.

        Raises:
            WorkerLostError: it went away before it answered.
        """
        while True:
            self._came_up.clear()
            try:
                answer = await self._workers.request("intake", command, lambda message: _answers(command, message))
            except WorkerUnavailableError:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._came_up.wait(), PAUSE)
            else:
                if isinstance(answer, Collected | Settled | Failure):
                    return answer

    def _observe(self, worker: WorkerName, message: FromWorker) -> None:
        if worker == "intake" and isinstance(message, Ready):
            self._came_up.set()


def _answers(command: Collect | Settle, message: FromWorker) -> bool:
    if isinstance(message, Failure):
        return message.request == command.cycle
    awaited = Collected if isinstance(command, Collect) else Settled
    return isinstance(message, awaited) and message.cycle == command.cycle

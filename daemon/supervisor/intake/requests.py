"""Asking the intake, which may be away: whoever asks waits for it."""

import asyncio
import contextlib

from daemon.messages import Collect, Collected, CollectFiles, Command, FromWorker, Ready, Settle, Settled, WorkerName
from daemon.supervisor.processes.ports import A, Workers, WorkerUnavailableError


class IntakeRequests:
    """Commands about cycles, each with its answer.

    Args:
        workers: among them the intake.
        pause: seconds after which an intake that is away is asked again, even where it did not report.
    """

    def __init__(self, workers: Workers, pause: float) -> None:
        self._workers = workers
        self._pause = pause
        self._came_up = asyncio.Event()
        workers.subscribe(self._observe)

    async def collect(self, command: Collect) -> Collected:
        """Have a snapshot made as soon as the intake is there.

        Raises:
            WorkerLostError: it went away before it answered.
            CommandFailedError: it could not.
        """
        return await self._ask(command, Collected)

    async def collect_files(self, command: CollectFiles) -> Collected:
        """Have the snapshot of a job made as soon as the intake is there. Raises as `collect`."""
        return await self._ask(command, Collected)

    async def settle(self, command: Settle) -> Settled:
        """Have conversations settled as soon as the intake is there.

        Raises:
            WorkerLostError: it went away before it answered.
            CommandFailedError: it could not.
        """
        return await self._ask(command, Settled)

    async def _ask(self, command: Command, expected: type[A]) -> A:
        while True:
            self._came_up.clear()
            try:
                return await self._workers.ask("intake", command, expected)
            except WorkerUnavailableError:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._pause):
                        await self._came_up.wait()

    def _observe(self, worker: WorkerName, message: FromWorker) -> None:
        if worker == "intake" and isinstance(message, Ready):
            self._came_up.set()

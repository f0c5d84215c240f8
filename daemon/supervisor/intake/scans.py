"""Scans: a look through the inbox that a person asks for, instead of waiting for the next cycle."""

from daemon.messages import Command, Retake, Retaken, Scan, Scanned
from daemon.supervisor.processes.ports import A, CommandFailedError, Workers


class ScanFailedError(Exception):
    """The intake could not look through the inbox; the message says why."""


class Scans:
    """Has the intake look, and take up again what was set aside."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers

    async def scan(self, *, retry_quarantine: bool, files: tuple[str, ...] = ()) -> Scanned:
        """Read through every watched folder, and with ``retry_quarantine`` what was refused once more.

        With ``files`` the answer says what became of those.

        Raises:
            ScanFailedError: the intake could not.
            WorkerUnavailableError: it is not there.
            WorkerLostError: it went away before it answered.
        """
        return await self._ask(Scan(retry_quarantine=retry_quarantine, files=files), Scanned)

    async def retake(self, source: str | None) -> int:
        """Take up what was set aside of a file, or of all; the number of conversations.

        Raises:
            ScanFailedError: the intake could not.
            WorkerUnavailableError: it is not there.
            WorkerLostError: it went away before it answered.
        """
        return (await self._ask(Retake(source=source), Retaken)).conversations

    async def _ask(self, command: Command, expected: type[A]) -> A:
        try:
            return await self._workers.ask("intake", command, expected)
        except CommandFailedError as error:
            raise ScanFailedError(str(error)) from error

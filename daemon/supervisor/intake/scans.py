"""Scans: a look through the inbox that a person asks for, instead of waiting for the next cycle."""

from daemon.messages import Failure, FromWorker, Retake, Retaken, Scan, Scanned
from daemon.supervisor.learning.request_numbers import RequestNumbers
from daemon.supervisor.processes.ports import Workers


class ScanFailedError(Exception):
    """The inbox could not be looked through; the message says why."""


class Scans:
    """Has the intake look, and take up again what was set aside."""

    def __init__(self, workers: Workers, numbers: RequestNumbers) -> None:
        self._workers = workers
        self._numbers = numbers

    async def scan(self, *, retry_quarantine: bool, files: tuple[str, ...] = ()) -> Scanned:
        """Read through every watched folder, and with ``retry_quarantine`` what was refused once more.

        With ``files`` the answer says what became of those.

        Raises:
            ScanFailedError: the intake could not.
            WorkerUnavailableError: it is not there.
            WorkerLostError: it went away before it answered.
        """
        command = Scan(request=self._numbers.next(), retry_quarantine=retry_quarantine, files=files)

        def answers(message: FromWorker) -> bool:
            return isinstance(message, Scanned | Failure) and message.request == command.request

        answer = await self._workers.request("intake", command, answers)
        if isinstance(answer, Failure):
            raise ScanFailedError(answer.reason)
        if not isinstance(answer, Scanned):
            raise ScanFailedError(f"the intake answered with '{answer.kind}'")
        return answer

    async def retake(self, source: str | None) -> int:
        """Take up what was set aside of a file, or of all; how many conversations that are.

        Raises:
            ScanFailedError: the intake could not.
            WorkerUnavailableError: it is not there.
            WorkerLostError: it went away before it answered.
        """
        command = Retake(request=self._numbers.next(), source=source)

        def answers(message: FromWorker) -> bool:
            return isinstance(message, Retaken | Failure) and message.request == command.request

        answer = await self._workers.request("intake", command, answers)
        if isinstance(answer, Failure):
            raise ScanFailedError(answer.reason)
        if not isinstance(answer, Retaken):
            raise ScanFailedError(f"the intake answered with '{answer.kind}'")
        return answer.conversations

"""What the workers last said of themselves and of the world, kept for ``status``."""

from pydantic import JsonValue

from daemon.messages import Counts, FromWorker, HostFigures, Unwatched, WorkerName
from daemon.supervisor.processes.ports import Workers


class Observed:
    """Keeps the newest figures that workers sent.

    Attributes:
        counts: conversations in each state, from the intake.
        host: host and process figures, from the monitor.
        unwatched: folders that the intake cannot watch, and why.
    """

    def __init__(self, workers: Workers) -> None:
        self.counts = Counts()
        self.host: dict[str, JsonValue] = {}
        self.unwatched: dict[str, str] = {}
        workers.subscribe(self._observe)

    def conversations(self) -> dict[str, JsonValue]:
        """The counts of conversations as clients read them."""
        return self.counts.model_dump(mode="json", exclude={"kind"})

    def _observe(self, _: WorkerName, message: FromWorker) -> None:
        if isinstance(message, Counts):
            self.counts = message
        elif isinstance(message, HostFigures):
            self.host = message.figures
        elif isinstance(message, Unwatched):
            self.unwatched = message.folders
